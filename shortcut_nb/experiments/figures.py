"""The figure that most experiments end with: means and intervals, one picture for each score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ..plots import interval_plot, save_figure
from .report import TITLES


def score_figures(
    table: pd.DataFrame, name: str, what: str, *, by: str, group: str, out: Path | None,
    titles: Mapping[str, str] = TITLES,
) -> None:  # fmt: skip
    """Save ``NAME_SCORE.png`` with its CSV for each score that the table has.

    Args:
        table: what :func:`.report.means` gives, maybe with more columns.
        what: of what the means are, for the alt text: "for each attack at 16/255".
        by, group: columns of colours and of rows; see ``plots.interval_plot``.
        titles: score to the label of its axis.
    """
    for score, title in titles.items():
        part = table[table["score"] == score]
        if part.empty:
            continue
        save_figure(
            interval_plot(part, by=by, group=group, xlabel=title), f"{name}_{score}",
            folder=out, data=part,
            alt=f"Mean {title} of V* samples {what}, with 95 % t intervals over "
            f"{part['n'].max()} subjects.",
        )  # fmt: skip
