"""The question ``lasting`` for readers: whether the harm comes back while one trains on."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..analysis.lead import by_share, steps_of
from ..experiments.means import means_over_people, widened
from ..experiments.measured import Measurement
from ..experiments.questions.lasting import REMEDIES, SHARES, SHEET, TWICE, USUAL, growing, left
from ..experiments.questions.methods import usual_steps
from ..plots import curve_plot
from ..profile import load_profile
from . import display
from .summary import Summary, summary_of
from .tables import table_of

NAME = "lasting"
SCORES = {
    "quality": "quality",
    "texture": "texture (grey levels)",
    "ims_missing": "identity match",
}
"""What is told of each look, by metric."""
TREATMENT_NAMES = {
    "clean": "no attack",
    "random noise": display.NOISE,
    "protected": display.NOTHING,
    "purified": display.DEFENCES["purifier"],
    "cdl": display.CDL,
    "purified + cdl": display.DEFENCES["both"],
}
"""What a figure calls each treatment."""


def steps() -> dict[str, int]:
    """How many steps DreamBooth takes in the miniature, by the length of a training."""
    usual = usual_steps(load_profile("mini"))
    return {USUAL: usual, TWICE: 2 * usual}


def curves(measured: Measurement | None = None) -> pd.DataFrame:
    """Means over people: ``treatment``, ``length``, ``step``, ``score``, ``mean, low, high, n``.

    Args:
        measured: None is the shipped measurement of the miniature.
    """
    frame = by_share((measured or Measurement.read(NAME)).frame)
    frame = frame[frame["sheet"] == SHEET]
    table = means_over_people(frame, list(SCORES), ["treatment", "length", "share"])
    total = table["length"].map(steps())
    return table.assign(
        step=steps_of(table["share"], SHARES, total),
        treatment=table["treatment"].map(TREATMENT_NAMES),
        score=table["metric"].map(SCORES),
    )


def picture(table: pd.DataFrame) -> Figure:
    """:func:`curves`, drawn: a row of panels for each length of training, one for each score.

    Where all treatments are alike, in the identity match, only two have their intervals: six bands
    would hide each other.
    """
    titles = {length: f"{number}-step training" for length, number in steps().items()}
    shaded = table["treatment"].isin([TREATMENT_NAMES["clean"], TREATMENT_NAMES["protected"]])
    drawn = table.assign(panel=table["score"] + "\n" + table["length"].map(titles))
    drawn.loc[~shaded & (drawn["metric"] == "ims_missing"), ["low", "high"]] = float("nan")
    order = [f"{score}\n{title}" for title in titles.values() for score in SCORES.values()]
    return curve_plot(
        drawn.sort_values("panel", key=lambda panels: panels.map(order.index), kind="stable"),
        "step",
        "treatment",
        "panel",
        xlabel="training step",
        ylabel="V* samples, mean over people",
        sharey="col",
        columns=len(SCORES),
    )


def ends(measured: Measurement | None = None) -> str:
    """Each treatment when training ends, usually and after twice the steps, in Markdown."""
    table = curves(measured)
    table = table[table["share"] == 1]
    table = table.assign(place=table["metric"] + ", " + table["length"])
    places = [f"{metric}, {length}" for metric in SCORES for length in (USUAL, TWICE)]
    wide = widened(table, ["treatment"], places, "place")
    columns = {"treatment": "treatment"} | {
        f"{metric}, {length}": (
            f"{word.partition(' (')[0]}, end of a {steps()[length]}-step training"
        )
        for metric, word in SCORES.items()
        for length in (USUAL, TWICE)
    }
    return table_of(
        wide, columns, marked=wide["treatment"] == TREATMENT_NAMES["protected"]
    ).markdown()


def lasting_values(measured: Summary | None = None) -> dict[str, Any]:
    """Values for the finding: whether the harm stays away while training goes on.

    Returns:
        ``lasts``: of every remedy; ``lasting_steps``, ``lasting_people``.
    """
    measured = measured or summary_of(Measurement.read(NAME))
    return {
        "lasts": bool((harm_left(measured)["verdict"] == "confirmed").all()),
        "lasting_steps": steps()[TWICE],
        "lasting_people": len(measured.subjects),
    }


def harm_left(measured: Summary | None = None) -> pd.DataFrame:
    """What each remedy leaves of the harm to quality: a row each, ``usual``, ``twice``, ``grows``.

    Against clean training of the same length, below zero where quality is missing; ``grows`` is the
    change from the usual steps to twice as many. Each has its interval.
    """
    measured = measured or summary_of(Measurement.read(NAME))
    rows = pd.DataFrame(
        {"remedy": REMEDIES, "name": [TREATMENT_NAMES[remedy] for remedy in REMEDIES]}
    )
    for length in (USUAL, TWICE):
        asked = [left(remedy, length, 1.0).name for remedy in REMEDIES]
        rows = measured.beside(rows, length, asked)
    asked = [growing(remedy).name for remedy in REMEDIES]
    verdicts = [measured.verdict(name)["verdict"] for name in asked]
    return measured.beside(rows, "grows", asked).assign(verdict=verdicts)
