"""Layout of figures at page width: sizes, text that is legible there, legends, counts of people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..templates import counted

PAGE_WIDTH = 8.0
"""Inches of a figure that is shown as wide as a page, some 800 pixels."""

SMALLEST = 10.0
"""Points of the smallest text in such a figure: above 9 points when it is 800 pixels wide."""


POINT: dict[str, Any] = {"zorder": 3, "edgecolors": "white", "linewidths": 0.6}
"""How points are set off from lines and from each other in such a figure."""

LEGEND: dict[str, Any] = {
    "fontsize": SMALLEST,
    "columnspacing": 1.5,
    "handletextpad": 0.3,
    "handlelength": 1.6,
}
"""How the names of points stand in a row above such a figure: six fit into its width."""


def legend_of(axes: Iterable[Axes]) -> dict[str, Artist]:
    """What a legend for several axes shows: each name once, with its handle."""
    return {
        name: handle
        for ax in axes
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }


def people_text(people: int) -> str:
    """The number of people behind a figure: "n = 6 people"."""
    return f"n = {counted(people, 'person', 'people')}"


def write_people(figure: Figure, people: int) -> None:
    """Write the number of people into a figure's lower right corner, small and grey."""
    figure.text(
        0.995, 0.005, people_text(people), ha="right", va="bottom", fontsize=SMALLEST, color="0.4"
    )
