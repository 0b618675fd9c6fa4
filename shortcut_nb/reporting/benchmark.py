"""The paper's matrix for readers: what every defence leaves under every protection.

The question itself is ``experiments/questions/benchmark.yaml``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..errors import UserError
from ..experiments.means import ends_of
from ..experiments.measured import Measurement
from ..plots.layout import SMALLEST
from ..plots.matrix import matrix_plot
from ..plots.named import named_scatter
from ..plots.palette import looks
from . import display, purification
from .display import UNIT_SCORES
from .summary import summary

NAME = "benchmark"
PLAIN, CDL = "dreambooth", "cdl"
CLEAN, NOTHING = display.CLEAN, display.NOTHING
UNPROTECTED = (CLEAN, display.NOISE)
PICTURES = {
    attack: display.ATTACKS[attack]
    for attack in (
        "none",
        "noise",
        "aspl",
        "advdm",
        "fsmg",
        "metacloak",
        "simac",
        "photoguard",
        "glaze",
    )
}
"""What the photos are protected with, by the axis's value."""
PURIFIERS = {
    purifier: "" if purifier == "none" else display.PURIFIERS[purifier]
    for purifier in (
        "none",
        "jpeg",
        "tvm",
        "ddspure",
        "gridpure",
        "impress",
        "diffpure",
        "restorer",
        "codesr",
    )
}
"""What they are cleaned with."""
COLUMNS = {
    "defence": "defence",
    "quality": "quality, worst case",
    "quality_under": "under",
    "intact": "intactness, worst case",
    "intact_under": "under",
    "ims_missing": "identity match, worst case",
    "ims_missing_under": "under",
    "clean_ims_missing": "identity match, clean photos",
}
"""Headings of :func:`worst_cases` as a table."""
WHOLE = display.joined(PURIFIERS["codesr"], display.CDL)
"""The paper's own defence."""


def defence(purifier: str, training: str) -> str:
    """The name of a defence: "no defence", "JPEG", "CDL", "CodeSR + CDL"."""
    words = display.CDL if training == CDL else ""
    return display.joined(PURIFIERS.get(purifier, purifier), words) or NOTHING


def matrix(measured: Measurement | None = None) -> pd.DataFrame:
    """Every field: ``photos, defence, purifier, score, mean, low, high, n``; the best defence
    comes first, by its quality where it does worst; of those that are equal to two digits, by its
    identity match there.

    Args:
        measured: None is the shipped measurement of the miniature.
    """
    measured = measured or Measurement.read(NAME)
    scores = [metric for metric in UNIT_SCORES if metric in measured.metrics]
    table = measured.means(scores, ["attack", "purifier", "training"], measured.default_sheet)
    table = table.assign(
        photos=table["attack"].map(PICTURES).fillna(table["attack"]),
        defence=[defence(*each) for each in zip(table["purifier"], table["training"], strict=True)],
        score=table["metric"].map(UNIT_SCORES),
    )
    order = {name: place for place, name in enumerate(PICTURES.values())}
    table["column"] = table["photos"].map(order)
    table["worst"] = table["defence"].map(_worst(table, "quality")["mean"]).round(2)
    alike = _worst(table, UNIT_SCORES["ims_missing"])["mean"]
    table["alike"] = table["defence"].map(alike)
    table = table.sort_values(
        ["worst", "alike", "defence", "column"], ascending=[False, False, True, True]
    )
    columns = ["photos", "defence", "purifier", "score", "mean", "low", "high", "n"]
    return table[columns].reset_index(drop=True)


def _worst(table: pd.DataFrame, score: str) -> pd.DataFrame:
    """The field of each defence in which a score is lowest, of the protections that every one met.

    Returns:
        ``photos, mean, low, high``, indexed by defence.

    Raises:
        UserError: no protection was met by every defence.
    """
    own = table[(table["score"] == score) & ~table["photos"].isin(UNPROTECTED)]
    met = own.groupby("photos")["defence"].nunique()
    own = own[own["photos"].isin(met[met == own["defence"].nunique()].index)]
    if own.empty:
        raise UserError(
            "defences can be compared only under protections that every one of them met; there is "
            "none: measure the missing fields, see `shortcut-nb bench benchmark --plan`"
        )
    rows = own.loc[own.groupby("defence")["mean"].idxmin()]
    return rows.set_index("defence")[["photos", "mean", "low", "high"]]


def worst_cases(measured: Measurement | None = None) -> pd.DataFrame:
    """One row per defence: what it leaves where it does worst, and its price without any attack.

    Who defends does not choose the protection, and so counts on the one that leaves least.

    Returns:
        ``defence, purifier, family`` (of purifier), for each score of :data:`UNIT_SCORES` "x" with
        "x_low" and "x_high", ``x_under`` (the protection that leaves least), and "clean_x" with
        its ends.
    """
    table = matrix(measured)
    rows = table.drop_duplicates("defence")[["defence", "purifier"]].reset_index(drop=True)
    rows["family"] = rows["purifier"].map(purification.family)
    for metric, score in UNIT_SCORES.items():
        if score not in set(table["score"]):
            continue
        clean = table[(table["score"] == score) & (table["photos"] == CLEAN)]
        clean = clean.set_index("defence")[["mean", "low", "high"]]
        for head, own in ((metric, _worst(table, score)), (f"clean_{metric}", clean)):
            for end, column in ends_of(head).items():
                rows[column] = rows["defence"].map(own[end])
            if "photos" in own:
                rows[f"{head}_under"] = rows["defence"].map(own["photos"])
    return rows


def worst_picture(worst: pd.DataFrame) -> Figure:
    """:func:`worst_cases`, drawn: quality against identity match, each where it is worst."""
    kind = worst["defence"].str.contains("CDL").map({True: "with CDL", False: "without CDL"})
    return named_scatter(
        worst.assign(kind=kind),
        "ims_missing",
        "quality",
        looks(["with CDL", "without CDL"]),
        label="defence",
        by="kind",
        xlabel=COLUMNS["ims_missing"],
        ylabel=COLUMNS["quality"],
        height=4.6,
    )


HARDEST = "photoguard"
"""The protection that purifiers undo least."""


def hardest_values() -> dict[str, Any]:
    """Values for the finding: identity match under :data:`HARDEST`.

    Returns:
        ``hard_people``; the identity match ``hard_clean`` without protection, ``hard_bare`` without
        a defence, ``hard_restorer``, ``hard_papers`` (CodeSR) and ``hard_cdl``; ``cdl_helps``:
        whether CDL gives some of it back.
    """
    fields, kept = matrix(), summary(NAME)
    alike = fields[fields["score"] == UNIT_SCORES["ims_missing"]]
    own = alike.set_index(["photos", "defence"])["mean"]
    name = PICTURES[HARDEST]
    return {
        "hard_people": len(kept.subjects),
        "hard_clean": own[CLEAN, NOTHING],
        "hard_bare": own[name, NOTHING],
        "hard_restorer": own[name, PURIFIERS["restorer"]],
        "hard_papers": own[name, PURIFIERS["codesr"]],
        "hard_cdl": own[name, defence("none", CDL)],
        "cdl_helps": kept.verdict(f"CDL alone restores the person, {HARDEST}")["verdict"]
        == "confirmed",
    }


def drawn(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`matrix` that a figure has: without random noise, which few defences
    met."""
    return table[table["photos"] != display.NOISE].reset_index(drop=True)


def picture(table: pd.DataFrame) -> Figure:
    """:func:`drawn`, as a figure: a panel for each score, defences as rows and photos as columns.

    Args:
        table: of :func:`matrix`.
    """
    fields = drawn(table)
    order = list(dict.fromkeys([*PICTURES.values(), *fields["photos"]]))
    figure = matrix_plot(fields, "defence", "photos", "score", order=order)
    count = fields[["defence", "photos", "score"]].nunique().prod()
    missing = "" if len(fields) == count else " (empty: not measured)"
    figure.supxlabel(f"what the photos were protected with{missing}", fontsize=SMALLEST)
    return figure
