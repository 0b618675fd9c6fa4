"""The question ``argument`` for readers: levels, verdicts, and what four of the findings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from ..experiments.contrasts import Contrast, judge
from ..experiments.experiment import JOIN
from ..experiments.means import ends_of
from ..experiments.measured import Measurement
from ..experiments.questions import decoupling
from ..experiments.questions.argument import BUDGETS, PAPERS, PROTECTIONS, RESTORER, TREATED
from ..experiments.questions.hidden import THERE
from ..metrics import describe
from ..metrics.attributes import TRAIT
from ..profile import load_profile
from . import benchmark, display, lasting, numbers, purification
from .shipped import shipped
from .shortcut import FIRST
from .summary import summary

Answer = Literal["yes", "partly", "open", "no"]
"""Whether a claim of the paper holds here."""
Values = dict[str, Any]
EPS = BUDGETS[0]
CLEAN, NOISE, CDL, BOTH, SMOOTH = "clean", "random noise", "CDL", "restored + CDL", "photoguard"
TREATMENT_NAMES = {
    CLEAN: display.CLEAN,
    NOISE: display.NOISE,
    **{attack: display.ATTACKS[attack] for attack in (TREATED, "metacloak", SMOOTH)},
    RESTORER: display.after(TREATED, display.PURIFIERS["restorer"]),
    PAPERS: display.after(TREATED, display.PURIFIERS["codesr"]),
    CDL: display.after(TREATED, display.CDL),
    BOTH: display.after(TREATED, display.PURIFIERS["restorer"], display.CDL),
}
"""What stands for each treatment, in the order of the argument."""
PROTECTED = tuple(name for name in TREATMENT_NAMES if name in (CLEAN, NOISE, *PROTECTIONS))
PURIFIED = (CLEAN, TREATED, RESTORER, PAPERS)
DECOUPLED = (CLEAN, TREATED, CDL, BOTH)
TREATMENT_KINDS = {CLEAN: "clean", NOISE: "random noise", RESTORER: "purified", PAPERS: "purified"}
TREATMENT_KINDS |= dict.fromkeys(PROTECTIONS, "protected") | {CDL: "cdl", BOTH: "purified + cdl"}
"""What a figure colours each treatment as."""
HEADINGS = display.UNIT_SCORES | {"apart": "distance", "attributes": "traits read right"}
SHEETS = {"instance": "V*, the person's name", "class": "the class, any person"}
SPARED = 0.1  # of what V* suffers: the class may suffer so much and be called spared


def measurement() -> Measurement:
    """The shipped measurement."""
    return Measurement.read("argument")


def levels(metric: str, sheet: str = "instance", eps: str = EPS) -> pd.DataFrame:
    """Means over people by treatment: ``name, mean, low, high``, indexed by treatment."""
    means = measurement().means([metric], ["condition", "sheet"])
    own = means[means["sheet"] == sheet]
    treatment = own["condition"].str.removesuffix(f"{JOIN}{eps}")
    own = own.assign(treatment=treatment).set_index("treatment")
    there = [name for name in TREATMENT_NAMES if name in own.index]
    table = own.loc[there, ["mean", "low", "high"]]
    return table.assign(name=[TREATMENT_NAMES[name] for name in there])


def compared(metric: str, high: str, low: str, expect: str, sheet: str = "instance") -> Values:
    """What one treatment's samples have more of than another's, person by person.

    Args:
        expect: "+" or "-", which is confirmed or not.

    Returns:
        A row of :func:`.contrasts.judge`.
    """
    weights = {f"{high}{JOIN}{EPS}": 1.0, f"{low}{JOIN}{EPS}": -1.0}
    contrast = Contrast(f"{high} against {low}", metric, weights, sheet, expect)
    return judge(measurement().frame, [contrast]).iloc[0].to_dict()


def confirmed(*comparison: str) -> bool:
    """Whether a comparison (see :func:`compared`) came out as expected."""
    return compared(*comparison)["verdict"] == "confirmed"


def panels(treatments: tuple[str, ...]) -> pd.DataFrame:
    """The scores from 0 to 1 of V* samples after some treatments, for panels side by side."""
    kinds = [TREATMENT_KINDS[name] for name in treatments]
    parts = [
        levels(metric).loc[list(treatments)].assign(panel=title, group=kinds)
        for metric, title in display.UNIT_SCORES.items()
    ]
    return pd.concat(parts, ignore_index=True)


def by_word(metric: str) -> pd.DataFrame:
    """A measure of V* and of its class after clean, noisy and protected photos."""
    parts = [
        levels(metric, sheet).loc[list(PROTECTED)].assign(group=group)
        for sheet, group in SHEETS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def table(eps: str = EPS) -> pd.DataFrame:
    """Every treatment at a budget with every measure that the question asks for, and the class's
    quality; a treatment that was not measured there is left out.

    Returns:
        ``treatment``, and for each measure "x", "x_low" and "x_high".
    """
    metrics = list(dict.fromkeys(contrast.metric for contrast in measurement().contrasts))
    places = {metric: (metric, "instance") for metric in metrics}
    return _beside(places | {"class": ("quality", "class")}, eps)


def traits() -> pd.DataFrame:
    """The share of V* samples that show each of the person's traits, like :func:`table`."""
    metrics = [name for name in measurement().metrics if name.startswith(TRAIT)]
    return _beside({metric.removeprefix(TRAIT): (metric, "instance") for metric in metrics})


def _beside(places: Mapping[str, tuple[str, str]], eps: str = EPS) -> pd.DataFrame:
    """Measures beside each other, by column: metric and sheet."""
    there = levels("quality", eps=eps).index
    wide = pd.DataFrame({"treatment": pd.Series(TREATMENT_NAMES)[list(there)]})
    for column, (metric, sheet) in places.items():
        own = levels(metric, sheet, eps)
        ends = ends_of(column)
        wide = wide.join(own[list(ends)].rename(columns=ends))
    return wide


def judged(eps: str = EPS) -> pd.DataFrame:
    """Every prediction at a budget that was measured: ``claim, metric, mean, low, high, verdict``.

    ``claim`` is the contrast's name without measure and budget.
    """
    rows = measurement().verdicts()
    rows = rows[rows["contrast"].str.endswith(f", {eps}") & (rows["n"] > 0)]
    claims = [
        name.removesuffix(f", {eps}").removesuffix(f" to {metric}").replace(f" {metric} ", " it ")
        for name, metric in zip(rows["contrast"], rows["metric"], strict=True)
    ]
    return rows.assign(claim=claims)[["claim", "metric", "mean", "low", "high", "verdict"]]


def label(metric: str) -> str:
    """What a measure is called in a table's heading."""
    return HEADINGS.get(metric, describe(metric).label)


def _means(metric: str, sheet: str = "instance") -> pd.Series:
    return levels(metric, sheet)["mean"]


def protection_finding() -> tuple[Answer, Values]:
    """Does protection harm, and more than noise does?"""
    quality, alike = _means("quality"), _means("ims_missing")
    answers: dict[str, Answer] = {"confirmed": "yes", "refuted": "no"}
    more = compared("quality", TREATED, NOISE, "-")["verdict"]
    return answers.get(more, "open"), {
        "clean": quality[CLEAN],
        "quality": quality[TREATED],
        "noise": quality[NOISE],
        "less_alike": confirmed("ims_missing", TREATED, NOISE, "-"),
        "covered": summary("hidden").verdict(THERE)["verdict"] == "confirmed",
        "other_less_alike": confirmed("ims_missing", SMOOTH, NOISE, "-"),
        "clean_alike": alike[CLEAN],
        "other_alike": alike[SMOOTH],
    }


def shortcut_finding() -> tuple[Answer, Values]:
    """Does the damage follow V*, and spare the class?"""
    own = compared("texture", TREATED, CLEAN, "+")
    rest = compared("texture", TREATED, CLEAN, "+", "class")
    gap = next(
        row
        for row in measurement().verdicts().to_dict("records")
        if row["contrast"] == f"{TREATED} changes texture of V* more than of the class, {EPS}"
    )
    spared = rest["high"] < SPARED * own["mean"]
    bare = summary("shortcut").wide(["texture"]).set_index(["condition", "sheet"])["texture"]
    predicted = shipped("shortcut")["predictions"]
    leads = next(row for row in predicted if row["claim"] == FIRST)
    answer: Answer = "yes" if spared else "partly"
    return answer if gap["low"] > 0 else "no" if gap["high"] < 0 else "open", {
        "word": own["mean"],
        "rest": rest["mean"],
        "leads": leads["verdict"] == "confirmed",
        "bare_word": bare["no prior", "own"],
        "bare_rest": bare["no prior", "class"],
        "quality": _means("quality")[TREATED],
        "class_quality": _means("quality", "class")[TREATED],
    }


def purification_finding() -> tuple[Answer, Values]:
    """What do the restorer and the paper's own purifier give back?"""
    quality, traits = _means("quality"), _means("attributes")
    done = [confirmed("quality", name, TREATED, "+") for name in (RESTORER, PAPERS)]
    behind = confirmed("attributes", PAPERS, RESTORER, "-")
    answer: Answer = "partly" if behind or not done[1] else "yes"
    return answer if done[0] else "no", {
        "plain": quality[TREATED],
        "restored": quality[RESTORER],
        "papers": quality[PAPERS],
        "behind": behind,
        "traits": traits[RESTORER],
        "papers_traits": traits[PAPERS],
        "clean_traits": traits[CLEAN],
        **lasting.lasting_values(),
        **purification.values_of_others(),
        **benchmark.hardest_values(),
    }


def decoupling_finding() -> tuple[Answer, Values]:
    """What does naming the noise give back, and what does it cost?"""
    quality, traits, alike = _means("quality"), _means("attributes"), _means("ims_missing")
    raised = confirmed("quality", CDL, TREATED, "+")
    short = [confirmed(metric, CDL, CLEAN, "-") for metric in ("attributes", "ims_missing")]
    answer: Answer = "partly" if any(short) else "yes"
    away = compared("apart", CDL, TREATED, "-")["verdict"] == "refuted"
    blotches = compared("coarse_texture", CDL, CLEAN, "+")
    apart = _means("apart")
    return answer if raised else "open", {
        **caption_values(),
        **benchmark.hardest_values(),
        "plain": quality[TREATED],
        "cdl": quality[CDL],
        "short": any(short),
        "cdl_traits": traits[CDL],
        "clean_traits": traits[CLEAN],
        "further": away,
        "apart": apart[CDL],
        "plain_apart": apart[TREATED],
        "cdl_alike": alike[CDL],
        "clean_alike": alike[CLEAN],
        "plain_alike": alike[TREATED],
        "blotched": blotches["verdict"] == "confirmed",
        "blotches": blotches["mean"],
        "plain_blotches": compared("coarse_texture", TREATED, CLEAN, "+")["mean"],
    }


def caption_values() -> Values:
    """Values for the finding: quality after training on protected photos with other captions.

    Returns:
        ``few``: people; ``bare`` without any, ``named`` with the noise token, ``spare`` with a name
        that means nothing, ``other_1`` and ``other_2`` with words about something else;
        ``meaning``: whether the noise token gives more than the name that means nothing;
        ``drawing``: with words when sampling alone, which are ``idle`` if they give nothing;
        ``prompt_costs``: whether CDL's negative prompt costs likeness; ``asked_quality``,
        ``asked_alike``: quality and identity match of the name alone, after CDL's training.
    """
    measured = summary("decoupling")
    table = numbers.captions("quality", measured)
    own = table[table["group"] == "protected photos"].set_index("name")["mean"]
    words = measured.wide(["quality"], "suffix-negative").set_index("condition")["quality"]
    bare, spare, *others, named = (own[name] for name in decoupling.SAYS)
    meaningless = next(iter(decoupling.CAPTIONS))
    drawing = words[f"{decoupling.HARD}{JOIN}plain"]
    more = measured.verdict(
        decoupling.contrast_name(f"the noise token, over {meaningless}", "quality")
    )
    last = f"{decoupling.RUNGS[-1][0]}, over the pieces before"
    costs = measured.verdict(decoupling.contrast_name(last, "identity"))
    asked = numbers.rungs().set_index("name").loc[decoupling.RUNGS[2][0]]
    return {
        "few": len(measured.subjects),
        "token": load_profile("mini").prompts.noise_token,
        "bare": bare,
        "spare": spare,
        **{f"other_{number}": quality for number, quality in enumerate(others, start=1)},
        "named": named,
        "meaning": more["verdict"] == "confirmed",
        "prompt_costs": costs["verdict"] == "refuted",
        "asked_quality": asked["quality, protected"],
        "asked_alike": asked["ims_missing, protected"],
        "drawing": drawing,
        "idle": drawing <= bare,
    }
