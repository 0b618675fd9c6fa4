"""Tables and findings of the README and of the pages in ``docs/``, from the shipped files.

``python -m shortcut_nb.reporting.pages`` writes them anew between their marks,
``<!-- NAME -->`` and ``<!-- /NAME -->``. No number in them is typed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from ..experiments.means import widened
from ..experiments.questions import adaptive
from ..experiments.questions import words as words_question
from ..experiments.questions.argument import BUDGETS, PROTECTIONS, RESTORER
from ..files import write_text
from ..mini.evaluate import CARD, WORDS
from ..profile import load_profile
from ..weights import PACKAGE
from . import (
    argument,
    benchmark,
    causes,
    changes,
    course,
    coverage,
    display,
    hidden,
    intervention,
    lasting,
    numbers,
    purification,
    rates,
    seeds,
    withstanding,
)
from .figures import FIGURES
from .findings import readme
from .methods import costs, shipped_doses
from .shipped import shipped
from .strength import by_attack, read
from .summary import summary
from .tables import number, short_label, table_of

ROOT = PACKAGE.parent
PAGE = ROOT / "docs" / "results.md"
FOLDER = ROOT / "docs" / "results"
README = ROOT / "README.md"
REGIME = ROOT / "docs" / "regime.md"
SHORTCUT = ROOT / "docs" / "shortcut.md"
ARGUMENT = ROOT / "docs" / "argument.md"
PICTURE = re.compile(r"!\[[^\]]*\]\((?P<file>[^)\s]*figures/(?P<name>\w+)\.png)\)")
FILLED_ELSEWHERE = {"badges"}  # marks that another command fills
VERDICT_LABELS = {"confirmed": "holds", "refuted": "**refuted**", "undecided": "undecided"}
YES_OR_NO = {True: "yes", False: "**no**"}
PURIFIER_COLUMNS = {
    "perceptual": "perceptual distance",
    "likeness": "likeness",
    "realigned": "shift undone",
    "purify_seconds": "s a picture",
    "memory_mib": "MiB",
}
"""Headings of what a purifier makes of the pictures, by column."""
RESTORED_COLUMNS = {
    "quality_restored": "quality restored",
    "ims_missing_left": "identity against clean training",
}
"""Headings of what comes back after training on them, by column."""
HARM_COLUMNS = {
    "quality": ("quality", "+z.2f"),
    "ims_missing": ("identity", "+z.2f"),
    "apart": ("distance", "+z.2f"),
    "coarse_texture": ("coarse texture", "+z.1f"),
}
"""Headings and formats of what an attacker takes, by score."""


def markdown(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    digits: int | str | Mapping[str, int | str] = 2,
    marked: Iterable[bool] = (),
) -> str:
    """Some columns of a frame as a table, what matters bold; see :func:`.tables.table_of`."""
    return table_of(frame, columns, marked=marked, digits=digits).markdown()


def code(names: pd.Series) -> pd.Series:
    """Names as Markdown's code."""
    return "`" + names + "`"


def miniature_table() -> str:
    bars = pd.DataFrame(json.loads(CARD.read_text("utf-8"))["bars"])
    bar = [f"{sign} {bar:g}" for sign, bar in zip(bars["sign"], bars["bar"], strict=True)]
    reached = bars["reached"].map({True: "yes", False: "no"})
    frame = bars.assign(bar=bar, what=bars["key"].map(WORDS), reached=reached)
    columns = {"what": "measure", "value": "value", "bar": "bar", "reached": "reached"}
    return markdown(frame, columns, ".3g", ~bars["reached"])


def methods_table() -> str:
    scores = {
        "ims_missing": "identity",
        "quality": "quality",
        "ims_missing, class": "class: identity",
        "quality, class": "class: quality",
    }
    doses = shipped_doses()
    usual = doses[(doses["share"] == 1) & doses["pictures"].isna()]
    frame = widened(usual, ["method"], list(scores), "score").join(costs(), on="method")
    frame["method"] = code(frame["method"])
    columns = {"method": "method"} | scores | {"time": "time (DreamBooth: 1)"}
    return markdown(frame, columns, ".2f")


def decoupling_table() -> str:
    frame = numbers.rungs()
    words = {"quality": "quality", "texture": "texture", "ims_missing": "identity"}
    columns = {"name": "training and sampling"} | {
        f"{score}, {kind}": f"{word}, {kind}"
        for score, word in words.items()
        for kind in ("clean", "protected")
    }
    return markdown(frame, columns, ".2f")


def argument_table(eps: str = argument.EPS) -> str:
    frame = argument.table(eps)
    metrics = [column for column in frame if f"{column}_low" in frame and column != "class"]
    columns = {"treatment": "trained on"} | {metric: argument.label(metric) for metric in metrics}
    columns |= {"class": "class: quality"}
    digits = dict.fromkeys(columns, ".2f") | {"texture": ".1f"}
    protected = frame["treatment"] == argument.TREATMENT_NAMES[argument.TREATED]
    return markdown(frame, columns, digits, protected)


def halved_table() -> str:
    """The argument again, at half the budget."""
    return argument_table(BUDGETS[1])


def traits_table() -> str:
    frame = argument.traits()
    names = [column for column in frame if f"{column}_low" in frame]
    columns = {"treatment": "trained on"} | {name: name.replace("_", " ") for name in names}
    return markdown(frame[["treatment", *names]], columns, ".0%")


def hidden_table() -> str:
    columns = {"name": "trained on"} | hidden.COLUMNS
    return markdown(hidden.table(), columns, ".2f")


def predictions_table() -> str:
    frame = argument.judged()
    frame["text"] = _differences(frame, "+.2f")
    frame["claim"] = frame["claim"].map(_named)
    wide = frame.set_index(["claim", "metric"])["text"].unstack("metric", sort=False)
    columns = {"claim": "prediction"} | {metric: argument.label(metric) for metric in wide}
    return markdown(wide.reset_index(), columns)


def _named(claim: str) -> str:
    """A claim of the argument with attacks and remedies named as figures name them."""
    called = {name: display.ATTACKS[name] for name in PROTECTIONS}
    called |= {RESTORER: display.PURIFIERS["restorer"]}
    return re.sub(r"\w+", lambda word: called.get(word[0], word[0]), claim)


def _differences(judged: pd.DataFrame, spec: str) -> list[str]:
    """Each contrast's difference with its interval and verdict."""
    return [
        f"{number(row.mean, row.low, row.high, spec)} {VERDICT_LABELS[row.verdict]}"
        for row in judged.itertuples()
    ]


def story_table() -> str:
    judged = summary("story").verdicts
    frame = judged[judged["n"] > 0].copy()
    frame[["claim", "eps"]] = frame["contrast"].str.rsplit(", ", n=1, expand=True)
    frame["text"] = _differences(frame, "+.3f")
    frame["metric"] = [short_label(metric) for metric in frame["metric"]]
    wide = frame.set_index(["claim", "metric", "eps"])["text"].unstack("eps", sort=False)
    columns = {"claim": "claim", "metric": "score"} | {eps: eps for eps in wide}
    return markdown(wide.reset_index(), columns)


def intervention_table() -> str:
    first, *rest = intervention.PANELS.values()
    titles = [first, intervention.PLAIN, *rest]
    frame = widened(
        pd.concat([intervention.table(), intervention.plain_shift()]), ["name"], titles, "panel"
    )
    columns = {"name": "trained on"} | {title: title for title in titles}
    return markdown(frame, columns, "+.2f")


def strength_table() -> str:
    frame = by_attack(read())
    frame = frame[frame["attack"] != "clean"]
    frame = frame.assign(attack=code(frame["attack"]), beats=frame["beats_noise"].map(YES_OR_NO))
    columns = {
        "attack": "attack",
        "ims_missing_change": "identity",
        "quality_change": "quality",
        "texture_change": "texture",
        "psnr": "PSNR (dB)",
        "shift_projection": "CLIP shift to noise",
        "attack_seconds": "seconds",
        "memory_mib": "MiB",
        "beats": "beats noise",
    }
    columns = {name: title for name, title in columns.items() if name in frame}
    digits = {
        "psnr": ".1f",
        "shift_projection": ".2f",
        "attack_seconds": ".0f",
        "memory_mib": ".0f",
    }
    digits = dict.fromkeys(columns, "+.2f") | digits
    return markdown(frame, columns, digits, frame["attack"] == "`aspl`")


def shortcut_table() -> str:
    frame = pd.DataFrame(shipped("shortcut")["predictions"])
    frame = frame[~frame["score"].isin(["quality", "ims_missing"])]
    unit = " (" + frame["score"].str.replace("the", "the final") + ")"
    text = [number(row.difference, row.low, row.high, "+.2f") for row in frame.itertuples()]
    frame = frame.assign(
        difference=text + unit.where(frame["score"] != "texture", ""),
        outcome=frame["verdict"].replace("refuted", VERDICT_LABELS["refuted"]),
    )
    columns = {"claim": "prediction", "difference": "difference in texture", "outcome": ""}
    return markdown(frame, columns)


def purification_table() -> str:
    frame = purification.table(summary("purification"))
    attacks = list(dict.fromkeys(frame["attack"]))
    table = frame[frame["attack"] == attacks[0]].set_index("purifier")
    columns = {name: title for name, title in PURIFIER_COLUMNS.items() if table[name].notna().any()}
    table = table.sort_values("quality_restored", ascending=False)[list(columns)]
    digits = dict.fromkeys(columns, ".2f") | {"realigned": "+.2f", "memory_mib": ".0f"}
    for column, title in RESTORED_COLUMNS.items():
        attacked = frame["attack"].replace(display.ATTACKS)
        rows = numbers.mean_low_high(frame, column).assign(title=attacked + ": " + title)
        titles = list(dict.fromkeys(rows["title"]))
        table = table.join(widened(rows, ["purifier"], titles, "title").set_index("purifier"))
        columns |= {title: title for title in titles}
        digits |= dict.fromkeys(titles, "+.2f")
    table = table.reset_index().assign(name=lambda table: code(table["purifier"]))
    papers = table["purifier"] == "codesr"
    return markdown(table, {"name": "purifier"} | columns, digits, papers)


def benchmark_table() -> str:
    frame = benchmark.worst_cases()
    return markdown(frame, benchmark.COLUMNS, marked=frame["defence"] == benchmark.WHOLE)


def words_table() -> str:
    kinds = {
        ("quality", "clean photos"): "quality, clean",
        ("quality", "protected photos"): "quality, protected",
        ("texture", "clean photos"): "texture, clean",
        ("texture", "protected photos"): "texture, protected",
        ("ims_missing", "protected photos"): "identity, protected",
    }
    parts = [
        pieces[pieces["group"] == group].assign(kind=title)
        for (score, group), title in kinds.items()
        for pieces in [numbers.pieces(score)]
    ]
    frame = numbers.in_order(pd.concat(parts), list(words_question.ROWS).index)
    titles = list(kinds.values())
    columns = {"name": "training and sampling"} | {title: title for title in titles}
    return markdown(widened(frame, ["name"], titles, "kind"), columns, ".2f")


def text_rates_table() -> str:
    pairs = (("quality", "protected"), ("identity", "protected"), ("identity", "clean"))
    named = [f"{score}, {how}, {kind}" for score, kind in pairs for how in ("DreamBooth", "CDL")]
    columns = {"rate": "text encoder's rate"} | {name: name for name in named}
    return markdown(numbers.by_text_rate(), columns, ".2f")


def adaptive_table() -> str:
    """At the usual budget and at the largest; bold: the whole defence against who knows it."""
    measured = summary("adaptive")
    known = adaptive.knowledge(load_profile("mini").purifier)
    cells = [(key, who) for key in display.DEFENCES for who in known]
    frame = pd.DataFrame(cells, columns=["key", "who"])
    frame["defence"] = frame["key"].map(display.DEFENCES)
    columns, digits = {"defence": "defence", "who": "attacker knows"}, {}
    for eps in dict.fromkeys([adaptive.EPS, withstanding.largest(measured)]):
        for score, (title, spec) in HARM_COLUMNS.items():
            column = f"{title}, {eps}"
            word, _ = adaptive.SCORES[score]
            names = [adaptive.harm_to(who, key, word, eps) for key, who in cells]
            frame = measured.beside(frame, column, names)
            columns[column], digits[column] = column, spec
    frame = frame.dropna(subset=[f"quality, {adaptive.EPS}"])
    whole = withstanding.WHOLE
    marked = (frame["key"] == whole) & (frame["who"] == adaptive.informed(whole))
    return markdown(frame, columns, digits, marked)


def further_attackers_table() -> str:
    """Against other purifiers, and on sets of which a part stays clean."""
    measured = summary("adaptive")
    frame = withstanding.further_attackers(measured)
    cells = list(zip(frame["who"], frame["defence"], frame["where"], strict=True))
    called = benchmark.PURIFIERS | display.DEFENCES | {adaptive.PAPERS_WHOLE: benchmark.WHOLE}
    frame["defence"] = [", ".join([called[key], *where[1:]]) for _, key, where in cells]
    columns, digits = {"defence": "defence", "who": "attacker knows"}, {}
    titles = {"quality": "quality", "ims_missing": "identity", "coarse_texture": "coarse texture"}
    for score, title in titles.items():
        word, _ = adaptive.SCORES[score]
        names = [adaptive.harm_to(who, key, word, *where) for who, key, where in cells]
        frame = measured.beside(frame, title, names)
        columns[title], digits[title] = title, ".1f" if "texture" in title else ".2f"
    word, _ = adaptive.SCORES["quality"]
    names = [adaptive.gain(who, key, word, *where) for who, key, where in cells]
    frame = measured.beside(frame, "gain", names)
    columns["gain"], digits["gain"] = "quality, against one who knows nothing", ".2f"
    return markdown(frame, columns, {name: f"+{spec}" for name, spec in digits.items()})


def benchmark_command() -> str:
    return f"```bash\n{coverage.command('benchmark')}\n```"


def adaptive_command() -> str:
    return f"```bash\n{coverage.command('adaptive')}\n```"


def coverage_table() -> str:
    columns = {
        "name": "`shortcut-nb bench` …",
        "question": "question",
        "people": "people",
        "trainings": "trainings of each",
    }
    return markdown(coverage.table(), columns)


def same_cell_table() -> str:
    columns = {
        "question": "question",
        "people": "people",
        "trainings": "trainings of each",
        "samples": "samples a prompt",
        "quality": "quality",
    }
    return markdown(coverage.same_cell(), columns)


def changes_table() -> str:
    rows = pd.DataFrame(changes.rows(), columns=["claim", "then", "now", "why"])
    return changes.SAME if rows.empty else markdown(rows, {name: name for name in rows})


Parts = Mapping[str, Callable[[], str]]
"""What writes each part of a page, by the name in its marks."""

PAGES: dict[Path, Parts] = {
    PAGE: {
        "seeds": seeds.sentence,
        "coverage": coverage_table,
        "same_cell": same_cell_table,
        "changes": changes_table,
    },
    ARGUMENT: {},
    SHORTCUT: {"arrows": causes.arrows_table},
    FOLDER / "shortcut.md": {"shortcut": shortcut_table},
    FOLDER / "miniature.md": {"miniature": miniature_table},
    FOLDER / "personalisation.md": {"methods": methods_table},
    FOLDER / "argument.md": {
        "argument": argument_table,
        "hidden": hidden_table,
        "traits": traits_table,
        "predictions": predictions_table,
        "halved": halved_table,
        "ends": lasting.ends,
        "story": story_table,
    },
    FOLDER / "attacks.md": {"strength": strength_table},
    FOLDER / "shift.md": {"intervention": intervention_table},
    FOLDER / "purifiers.md": {"purification": purification_table},
    FOLDER / "defences.md": {
        "benchmark": benchmark_table,
        "benchmark_command": benchmark_command,
    },
    FOLDER / "decoupling.md": {
        "words": words_table,
        "text_rates": text_rates_table,
        "decoupling": decoupling_table,
    },
    FOLDER / "attackers.md": {
        "adaptive": adaptive_table,
        "attackers_further": further_attackers_table,
        "adaptive_command": adaptive_command,
    },
    README: {"findings": readme},
    REGIME: {
        "rates": rates.rates_table,
        "present": rates.present_rates,
        "others": rates.others_table,
        "regime": rates.regime_tables,
        "course": course.chosen,
    },
}
"""What is filled in, by page; one without parts has pictures whose words are."""


def filled(page: str, parts: Parts) -> str:
    """The page with every part between its marks, and every figure's words, written anew.

    Raises:
        ValueError: a part has no marks, or marks have no part.
    """
    marked = [name for name in re.findall(r"<!-- /(\w+) -->", page) if name not in FILLED_ELSEWHERE]
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
    return PICTURE.sub(_in_words, page)


def _in_words(picture: re.Match[str]) -> str:
    """A figure of :data:`.figures.FIGURES` with its own words; another as it is."""
    own = FIGURES.get(picture["name"])
    return f"![{own.alt}]({picture['file']})" if own else picture[0]


def main() -> None:
    """Write every page anew."""
    for path, parts in PAGES.items():
        write_text(path, filled(path.read_text("utf-8"), parts))


if __name__ == "__main__":
    from ..cli.exits import run_alone

    run_alone(main)
