"""Tables and findings of the README and of the pages in ``docs/``, from the shipped files.

``python -m shortcut_nb.experiments.results`` writes them anew between their marks,
``<!-- NAME -->`` and ``<!-- /NAME -->``. No number in them is typed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from ..mini.evaluate import CARD
from ..weights import PACKAGE
from . import changes as changed
from . import purification as purifiers
from . import rates as ratios
from .experiment import JOIN
from .findings import readme
from .identifier import AXES, GAP
from .questions import adaptive as attackers
from .questions import methods as methods_question
from .questions import strength as strength_question
from .questions import words as words_question
from .questions.strength import NOISE
from .report import between
from .shipped import shipped
from .summary import summary

ROOT = PACKAGE.parent
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
REGIME = ROOT / "docs" / "regime.md"
OTHERS = {"badges"}  # marks that another command fills
SAYS = {"confirmed": "holds", "refuted": "**refuted**", "undecided": "undecided"}
DEFENCES = {"none": "none", "purifier": "purifier", "both": "purifier + CDL",
            "both, held": "purifier + CDL, words held"}  # fmt: skip
SPEC = {"quality": "+.2f", "coarse_texture": "+.1f"}


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(row: dict, name: str, spec: str = "+.2f", ends: str | None = None) -> str:
    """``row[name]`` with its interval, whose names begin with ``ends`` (None: with ``name_``)."""
    ends = f"{name}_" if ends is None else ends
    return between(row[name], row[f"{ends}low"], row[f"{ends}high"], spec)


def miniature() -> str:
    bars = json.loads(CARD.read_text("utf-8"))["bars"]
    return markdown(
        ["measure", "value", "bar", "reached"],
        ([bar["key"], f"{bar['value']:.3g}", f"{bar['sign']} {bar['bar']:g}",
          "yes" if bar["reached"] else "**no**"] for bar in bars),
    )  # fmt: skip


def methods() -> str:
    columns = {
        "ims_missing": "identity",
        "quality": "quality",
        "ims_missing, class": "class: identity",
        "quality, class": "class: quality",
    }
    doses, costs = methods_question.shipped_doses(), methods_question.costs()
    usual = doses[(doses["share"] == 1) & doses["pictures"].isna()]
    specs = {name: ",.0f" for name in costs}
    rows = []
    for method, part in usual.groupby("method", sort=False):
        own = {row["score"]: row for row in part.to_dict("records")}
        scores = (number(own[name], "mean", ".2f", "") for name in columns)
        prices = (f"{costs.loc[method, name]:{spec}}" for name, spec in specs.items())
        rows.append([f"`{method}`", *scores, *prices])
    return markdown(["method", *columns.values(), *specs], rows)


def story() -> str:
    frame = summary("story").verdicts
    split = frame["contrast"].str.rsplit(", ", n=1)
    frame = frame.assign(claim=split.str[0], eps=split.str[1])
    budgets = list(dict.fromkeys(frame["eps"]))
    rows = []
    for (claim, metric), part in frame.groupby(["claim", "metric"], sort=False):
        at = {
            row["eps"]: f"{number(row, 'mean', '+.3f', '')} {SAYS[row['verdict']]}"
            for row in part.to_dict("records")
        }
        rows.append([claim, metric, *(at.get(eps, "") for eps in budgets)])
    return markdown(["claim", "score", *budgets], rows)


def strength() -> str:
    harms = strength_question.harms(strength_question.read())
    names = {"ims_missing": "identity", "quality": "quality", "texture": "texture"}
    rows = []
    for row in harms[harms["attack"] != "clean"].to_dict("records"):
        beats = "" if row["attack"] in NOISE else "yes" if row["beats_noise"] else "**no**"
        rows.append(
            [
                f"`{row['attack']}`",
                *(number(row, f"{name}_harm") for name in names),
                f"{row['psnr']:.1f}",
                f"{row['shift_projection']:.2f}",
                f"{row['attack_seconds']:.0f}",
                f"{row.get('memory_mib', float('nan')):.0f}",
                beats,
            ]
        )
    costs = ["PSNR (dB)", "CLIP shift to noise", "seconds", "MiB", "beats noise"]
    return markdown(["attack", *names.values(), *costs], rows)


def identifier() -> str:
    content = shipped("identifier")
    preserved = {(row["attack"], row["score"], row["whose"]): row for row in content["rows"]}
    rows = []
    for row in content["without_prior"]:
        usual = preserved[row["attack"], row["score"], row["whose"]]
        rows.append([
            f"`{row['attack']}`", AXES[row["score"]], row["whose"].replace(GAP, "gap"),
            number(usual, "mean", ends=""), number(row, "without"),
            number(row, "difference", ends=""), row["verdict"],
        ])  # fmt: skip
    return markdown(
        ["attack", "harm", "to", "with prior preservation", "without", "difference",
         "prediction"], rows,
    )  # fmt: skip


def levels() -> str:
    frame, kinds = pd.DataFrame(shipped("identifier")["levels"]), ("quality", "texture")
    rows = []
    for (prior, attack, whose), part in frame.groupby(["prior", "attack", "whose"], sort=False):
        texts = {row["score"]: number(row, "mean", ".2f", "") for row in part.to_dict("records")}
        rows.append([str(prior), f"`{attack}`", str(whose), *(texts[kind] for kind in kinds)])
    return markdown(["prior preservation", "trained on", "samples of", *kinds], rows)


def shortcut() -> str:
    rows = []
    for row in shipped("shortcut")["predictions"]:
        if row["score"] in ("quality", "ims_missing"):
            continue
        unit = "" if row["score"] == "texture" else f" ({row['score'].replace('the', 'the final')})"
        outcome = row["verdict"].replace("refuted", "**refuted**")
        rows.append([row["claim"], number(row, "difference", "+.2f", "") + unit, outcome])
    return markdown(["prediction", "difference in texture", ""], rows)


def purification() -> str:
    frame = purifiers.table(summary("purification"))
    attacks = list(dict.fromkeys(frame["attack"]))
    mean = frame.groupby("purifier").mean(numeric_only=True).sort_values("perceptual")
    rows = []
    for name, row in mean.iterrows():
        own = {one["attack"]: one for one in frame[frame["purifier"] == name].to_dict("records")}
        rows.append([
            f"`{name}`", f"{row['perceptual']:.2f}", f"{row['likeness']:.2f}",
            f"{row['realigned']:+.2f}",
            *(number(own[attack], "quality_restored") for attack in attacks),
            f"{row['texture']:.1f}",
            f"{row['purify_seconds']:.2f}",
            f"{row['memory_mib']:.0f}",
        ])  # fmt: skip
    return markdown(
        ["purifier", "perceptual distance", "likeness", "shift undone",
         *(f"quality restored, `{attack}`" for attack in attacks), "texture", "s a picture", "MiB"],
        rows,
    )  # fmt: skip


def words() -> str:
    kept = summary("words")
    wide = kept.wide(["quality", "texture", "ims_missing"]).set_index(["condition", "sheet"])
    kinds = [("quality", "clean"), ("quality", words_question.HARD), ("texture", "clean"),
             ("texture", words_question.HARD), ("ims_missing", words_question.HARD)]  # fmt: skip
    rows = [
        [piece, *(number(wide.loc[(f"{training}{JOIN}{kind}", sheet)], score, ".2f")
                  for score, kind in kinds)]
        for piece, (training, sheet) in words_question.ROWS.items()
    ]  # fmt: skip
    titles = [
        f"{score.replace('ims_missing', 'identity')}, {kind.partition(' ')[0]}"
        for score, kind in kinds
    ]
    return markdown(["training and sampling", *titles], rows)


def adaptive() -> str:
    judged = summary("adaptive").verdicts.set_index("contrast")
    kinds = [(score, eps) for score in SPEC for eps in (attackers.EPS, "32/255")]
    rows = []
    for defence, words in DEFENCES.items():
        for who in attackers.knowledge("restorer"):
            names = [attackers.harm(who, defence, attackers.HARMS[score][0], eps)
                     for score, eps in kinds]  # fmt: skip
            if names[0] in judged.index:
                rows.append([words, who, *(
                    number(judged.loc[name], "mean", SPEC[score], ends="")
                    if name in judged.index else ""
                    for name, (score, _) in zip(names, kinds, strict=True)
                )])  # fmt: skip
    titles = [f"{score.replace('_', ' ')}, {eps}" for score, eps in kinds]
    return markdown(["defence", "attacker knows", *titles], rows)


def changes() -> str:
    rows = changed.rows()
    return markdown(["claim", "then", "now", "why"], rows) if rows else changed.SAME


def rates() -> str:
    return markdown(*ratios.rates())


Parts = dict[str, Callable[[], str]]
TABLES: Parts = {
    each.__name__: each
    for each in (miniature, methods, story, strength, identifier, levels, shortcut, purification,
                 words, adaptive, changes)
}  # fmt: skip
"""Every table of the page of results, by the name in its marks."""
PAGES: dict[Path, Parts] = {
    PAGE: TABLES,
    README: {"findings": readme},
    REGIME: {"rates": rates, "present": ratios.present, "regime": ratios.regime},
}
"""What is filled in, by page."""


def filled(page: str, parts: Parts = TABLES) -> str:
    """The page with every part between its marks written anew.

    Raises:
        ValueError: a part has no marks, or marks have no part.
    """
    marked = [name for name in re.findall(r"<!-- /(\w+) -->", page) if name not in OTHERS]
    if sorted(marked) != sorted(parts):
        raise ValueError(
            f"the page has marks for {', '.join(sorted(marked))}; there are parts for "
            f"{', '.join(sorted(parts))}"
        )
    for name, part in parts.items():
        before, start, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"\n<!-- /{name} -->")
        if not end:
            raise ValueError(f"expected <!-- {name} --> before its <!-- /{name} -->")
        page = f"{before}{start}\n{part()}\n{end}{after}"
    return page


def main() -> None:
    """Write every page anew."""
    for path, parts in PAGES.items():
        path.write_text(filled(path.read_text("utf-8"), parts), "utf-8")


if __name__ == "__main__":
    main()
