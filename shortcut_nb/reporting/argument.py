"""The question ``argument`` for readers: levels, verdicts, and what four of the findings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from ..experiments.experiment import JOIN
from ..experiments.questions.argument import BUDGETS, PAPERS, PROTECTIONS, RESTORER, TREATED
from ..metrics import describe
from .summary import Summary, summary

Verdict = Literal["yes", "partly", "open", "no"]
"""Whether a claim of the paper holds here."""
Values = dict[str, Any]
EPS = BUDGETS[0]
CLEAN, NOISE, CDL, BOTH = "clean", "random noise", "CDL", "restored + CDL"
TITLES = {
    CLEAN: "clean photos",
    NOISE: "random noise",
    "aspl": "ASPL",
    "metacloak": "MetaCloak",
    "photoguard": "PhotoGuard",
    RESTORER: "ASPL, restored",
    PAPERS: "ASPL, CodeSR",
    CDL: "ASPL, CDL",
    BOTH: "ASPL, restored and CDL",
}
"""What stands for each treatment, in the order of the argument."""
PROTECTED = (CLEAN, NOISE, TREATED, *(name for name in PROTECTIONS if name != TREATED))
PURIFIED = (CLEAN, TREATED, RESTORER, PAPERS)
DECOUPLED = (CLEAN, TREATED, CDL, BOTH)
KINDS = {CLEAN: "clean", NOISE: "random noise", RESTORER: "purified", PAPERS: "purified"}
KINDS |= dict.fromkeys(PROTECTIONS, "protected") | {CDL: "cdl", BOTH: "purified + cdl"}
"""What a figure colours each treatment as."""
UNIT = {
    "quality": "quality",
    "attributes": "traits read right",
    "ims_missing": "identity match",
}
"""Measures from 0 to 1, with their heading in a figure."""
HEADINGS = UNIT | {"apart": "distance"}
TRAIT = "trait_"
SHEETS = {"instance": "V*", "class": "class"}


def kept() -> Summary:
    """The shipped measurement."""
    return summary("argument")


def levels(metric: str, sheet: str = "instance", eps: str = EPS) -> pd.DataFrame:
    """Means over people by treatment: ``name, mean, low, high``, indexed by treatment."""
    means = kept().means
    own = means[(means["metric"] == metric) & (means["sheet"] == sheet)]
    treatment = own["condition"].str.removesuffix(f"{JOIN}{eps}")
    own = own.assign(treatment=treatment).set_index("treatment")
    there = [name for name in TITLES if name in own.index]
    table = own.loc[there, ["mean", "low", "high"]]
    return table.assign(name=[TITLES[name] for name in there])


def panels(treatments: tuple[str, ...]) -> pd.DataFrame:
    """The measures of :data:`UNIT` of V* samples after some treatments, for panels side by side."""
    kinds = [KINDS[name] for name in treatments]
    parts = [
        levels(metric).loc[list(treatments)].assign(panel=title, group=kinds)
        for metric, title in UNIT.items()
    ]
    return pd.concat(parts, ignore_index=True)


def by_word(metric: str) -> pd.DataFrame:
    """A measure of V* and of its class after clean, noisy and protected photos."""
    parts = [
        levels(metric, sheet).loc[list(PROTECTED)].assign(group=group)
        for sheet, group in SHEETS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def table() -> pd.DataFrame:
    """Every treatment with every measure that the question asks for, and the class's quality.

    Returns:
        ``treatment``, and for each measure "x", "x_low" and "x_high".
    """
    metrics = list(dict.fromkeys(kept().verdicts["metric"]))
    places = {metric: (metric, "instance") for metric in metrics}
    return _beside(places | {"class": ("quality", "class")})


def traits() -> pd.DataFrame:
    """The share of V* samples that show each of the person's traits, like :func:`table`."""
    metrics = [name for name in kept().means["metric"].unique() if name.startswith(TRAIT)]
    places = {metric.removeprefix(TRAIT): (metric, "instance") for metric in metrics}
    return _beside(places)


def _beside(places: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Measures beside each other, by column: metric and sheet."""
    wide = pd.DataFrame({"treatment": pd.Series(TITLES)})
    for column, (metric, sheet) in places.items():
        own = levels(metric, sheet)
        ends = {"mean": column, "low": f"{column}_low", "high": f"{column}_high"}
        wide = wide.join(own[list(ends)].rename(columns=ends))
    return wide


def judged(eps: str = EPS) -> pd.DataFrame:
    """Every prediction at a budget that was measured: ``claim, metric, mean, low, high, verdict``.

    ``claim`` is the contrast's name without measure and budget.
    """
    rows = kept().verdicts
    rows = rows[rows["contrast"].str.endswith(f", {eps}") & (rows["n"] > 0)]
    claims = [
        name.removesuffix(f", {eps}").replace(f" {metric} ", " {} ").removesuffix(f" to {metric}")
        for name, metric in zip(rows["contrast"], rows["metric"], strict=True)
    ]
    claims = [claim.replace(" {} ", " it ") for claim in claims]
    return rows.assign(claim=claims)[["claim", "metric", "mean", "low", "high", "verdict"]]


def label(metric: str) -> str:
    """What a measure is called in a table's heading."""
    return HEADINGS.get(metric, describe(metric).label)


def _means(metric: str, sheet: str = "instance") -> pd.Series:
    return levels(metric, sheet)["mean"]


def _verdict(words: str, metric: str) -> str:
    """The verdict of a prediction: ``words`` with {} for the measure."""
    return kept().verdict(f"{words.format(metric)}, {EPS}")["verdict"]


def protection() -> tuple[Verdict, Values]:
    """Does protection harm, and more than noise does?"""
    quality, traits = _means("quality"), _means("attributes")
    alike, hair = _means("ims_missing"), _means(f"{TRAIT}hair")
    more = _verdict(f"{TREATED} changes {{}} more than noise does", "quality")
    less_alike = _verdict(f"{TREATED} changes {{}} more than noise does", "ims_missing")
    verdicts: dict[str, Verdict] = {"confirmed": "yes", "refuted": "no"}
    return verdicts.get(more, "open"), {
        "clean": quality[CLEAN],
        "quality": quality[TREATED],
        "noise": quality[NOISE],
        "traits": traits[TREATED],
        "clean_traits": traits[CLEAN],
        "hair": hair[TREATED],
        "clean_hair": hair[CLEAN],
        "less_alike": less_alike == "confirmed",
        "clean_alike": alike[CLEAN],
        "alike": alike["photoguard"],
    }


def shortcut() -> tuple[Verdict, Values]:
    """Does the damage follow V*, and spare the class?"""
    gap = kept().verdict(f"{TREATED} changes texture of V* more than of the class, {EPS}")
    rise = {
        name: _means("texture", sheet)[TREATED] - _means("texture", sheet)[CLEAN]
        for sheet, name in SHEETS.items()
    }
    quality = _means("quality", "class")
    return "yes" if gap["low"] > 0 else "no" if gap["high"] < 0 else "open", {
        "word": rise["V*"],
        "rest": abs(rise["class"]),
        "quality": _means("quality")[TREATED],
        "class_quality": quality[TREATED],
    }


def purification() -> tuple[Verdict, Values]:
    """What do the restorer and the paper's own purifier give back?"""
    quality, traits = _means("quality"), _means("attributes")
    undoes = f"{{}} undoes what {TREATED} did to quality"
    both = [_verdict(undoes.format(name), "quality") for name in (RESTORER, PAPERS)]
    behind = traits[PAPERS] < traits[RESTORER]
    done = [verdict == "confirmed" for verdict in both]
    return "no" if not any(done) else "partly" if behind or not all(done) else "yes", {
        "lost": quality[CLEAN] - quality[TREATED],
        "back": quality[RESTORER] - quality[TREATED],
        "papers": quality[PAPERS] - quality[TREATED],
        "behind": behind,
        "traits": traits[RESTORER],
        "papers_traits": traits[PAPERS],
        "clean_traits": traits[CLEAN],
    }


def decoupling() -> tuple[Verdict, Values]:
    """What does naming the noise give back, and what does it change besides?"""
    quality, traits, apart = _means("quality"), _means("attributes"), _means("apart")
    words = f"{CDL} undoes what {TREATED} did to {{}}"
    raised = _verdict(words, "quality") == "confirmed"
    astray = _verdict(words, "apart") == "refuted"
    return "open" if not raised else "partly" if astray else "yes", {
        "plain": quality[TREATED],
        "cdl": quality[CDL],
        "traits": traits[TREATED],
        "cdl_traits": traits[CDL],
        "astray": astray,
        "apart": apart[TREATED],
        "cdl_apart": apart[CDL],
    }
