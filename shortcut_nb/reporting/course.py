"""The question ``course`` for readers: what samples are like on the way of a clean training."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..analysis.lead import by_share, steps_of
from ..experiments.means import means_over_people, widened
from ..experiments.measured import Measurement
from ..experiments.questions.course import FIRST, FLOOD, SHARES, WATCHED, quality_holds
from ..experiments.questions.regime import CHOSEN, LONGER, REGIMES
from ..plots import curve_plot
from ..plots.layout import SMALLEST
from ..plots.palette import SPARE
from .rates import SHIPPED
from .summary import summary_of
from .tables import table_of

NAME = "course"
LIKENESS = "V*: identity match"
FLOOR = -0.2  # of the identity match: what lies below is said, not drawn
SCORES = {
    ("instance", "ims_missing"): LIKENESS,
    ("instance", "quality"): "V*: quality",
    ("class", "quality"): "class: quality",
    ("class", "intact"): "class: intactness",
}
"""What is told of each look, by sheet and metric."""
REGIME_LOOKS = {SHIPPED: SPARE[0], LONGER: SPARE[3], FIRST: SPARE[2]}
"""How a figure draws each regime: looks that are far apart."""


def curves(measured: Measurement | None = None) -> pd.DataFrame:
    """Means over people: ``condition``, ``step``, ``score`` (of SCORES), ``mean, low, high, n``.

    Args:
        measured: None is the shipped measurement of the miniature.
    """
    frame = by_share((measured or Measurement.read(NAME)).frame)
    table = means_over_people(
        frame, ["ims_missing", "quality", "intact"], ["condition", "sheet", "share"]
    )
    total = table["condition"].map({name: REGIMES[name]["steps"] for name in WATCHED})
    places = zip(table["sheet"], table["metric"], strict=True)
    table = table.assign(
        step=steps_of(table["share"], SHARES, total),
        score=[SCORES.get(place) for place in places],
    )
    table = table.dropna(subset=["score"]).drop(columns=["sheet", "metric", "share"])
    order = {name: place for place, name in enumerate((*SCORES.values(),))}
    return table.sort_values(["score"], key=lambda names: names.map(order), kind="stable")


def chosen(measured: Measurement | None = None) -> str:
    """The chosen regime step by step, in Markdown; the row where V* is lowest is bold."""
    table = curves(measured)
    own = table[table["condition"] == CHOSEN]
    counts = own.groupby("step")["n"].max().rename("n")
    wide = widened(own, ["step"], list(SCORES.values()), "score").sort_values("step")
    wide = wide.join(counts, on="step")
    lowest = wide[SCORES["instance", "quality"]]
    columns = {"step": "step", **{name: name for name in SCORES.values()}, "n": "people"}
    return table_of(wide, columns, marked=lowest == lowest.min(), digits={"step": 0}).markdown()


def picture(table: pd.DataFrame) -> Figure:
    """:func:`curves`, drawn: a panel for each score, a line for each regime.

    A match below :data:`FLOOR` is told by its number: where no face is found the match is −1, and
    a few such samples would take half of the panel.
    """
    named = table.assign(regime=table["condition"].replace(CHOSEN, SHIPPED))
    figure = curve_plot(
        named,
        "step",
        "regime",
        "score",
        ylabel="mean over people",
        columns=2,
        style=REGIME_LOOKS,
    )
    (ax,) = [ax for ax in figure.axes if ax.get_title() == LIKENESS]
    ax.set_ylim(bottom=FLOOR)
    own = named[named["score"] == LIKENESS]
    for row in own[own["mean"] < FLOOR].itertuples():
        note = f"  {row.mean:.2f} at step {row.step:.0f}".replace("-", "−")
        ax.text(row.step, FLOOR, note, va="bottom", fontsize=SMALLEST)
    return figure


def facts(measured: Measurement | None = None) -> dict[str, Any]:
    """Values for a sentence about how quality goes during a training.

    Returns:
        ``no_flood``: whether no look fell by more than :data:`FLOOD` with confidence; the lowest
        quality of V* on the way in the chosen regime, ``lowest`` at ``lowest_step``, and in the
        first miniature's, ``first_lowest`` at ``first_step``.
    """
    measured = measured or Measurement.read(NAME)
    table, summed = curves(measured), summary_of(measured)
    quality = table[table["score"] == SCORES["instance", "quality"]]
    looked = quality[quality["condition"] == CHOSEN]
    steps = [step for step in looked["step"] if step > 0]
    verdicts = {step: summed.verdict(quality_holds(step))["verdict"] for step in steps}
    lowest = looked.loc[looked["mean"].idxmin()]
    first = quality[quality["condition"] == FIRST]
    deepest = first.loc[first["mean"].idxmin()]
    return {
        "no_flood": all(verdict == "confirmed" for verdict in verdicts.values()),
        "lowest": lowest["mean"],
        "lowest_step": int(lowest["step"]),
        "first_lowest": deepest["mean"],
        "first_step": int(deepest["step"]),
        "flood": FLOOD,
    }
