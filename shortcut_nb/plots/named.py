"""Points that all carry their names, none over another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from adjustText import adjust_text
from matplotlib.figure import Figure
from matplotlib.text import Text

from ..columns import check_columns
from .page import LEGEND, PAGE_WIDTH, POINT, SMALLEST
from .palette import Look
from .style import theme

TRIES = 5  # places are drawn so often, at most, until no name covers another
RADIUS = 5.0  # points, of a marker
NEAR = 0.25  # of the values' range: how far off a line at zero may stand


def named_scatter(
    table: pd.DataFrame,
    x: str,
    y: str,
    style: Mapping[str, Look],
    *,
    label: str = "name",
    by: str = "group",
    xlabel: str = "",
    ylabel: str = "",
    height: float = 6.2,
) -> Figure:
    """One number against another at page width, every row as a point with its name.

    Names are moved apart from points and from each other; a thin line leads back where a name had
    to go far. A line marks zero where it is among the numbers or close by. The same table gives
    the same picture.

    Args:
        table: one row per point; rows without a number are left out.
        style: the look of each value of ``by``, in the order of the legend.
        height: inches.

    Raises:
        KeyError: a column that is not there. ValueError: no row has both numbers.
    """
    check_columns(table, [x, y, label, by])
    complete = table.dropna(subset=[x, y])
    if complete.empty:
        raise ValueError(f"expected rows with both {x!r} and {y!r}, got none")
    words = {"label": label, "xlabel": xlabel or x, "ylabel": ylabel or y}
    best, fewest = None, len(complete) ** 2
    for seed in range(TRIES):
        fig, names = _drawn(complete, (x, y, by), style, height, seed, **words)
        covered = _covered(names)
        if best is None or covered < fewest:
            best, fewest = fig, covered
        if not covered:
            break
    assert best is not None
    return best


def _drawn(
    table: pd.DataFrame,
    columns: tuple[str, str, str],
    style: Mapping[str, Look],
    height: float,
    seed: int,
    *,
    label: str,
    xlabel: str,
    ylabel: str,
) -> tuple[Figure, list[Text]]:
    """The points and their names, at the places that a seed gives."""
    x, y, by = columns
    with theme():
        fig = Figure((PAGE_WIDTH, height), layout="constrained")
        ax = fig.subplots()
        if _near_zero(table[y].to_numpy(float)):
            ax.axhline(0, color="0.6", linewidth=1, zorder=0)
        for group, look in style.items():
            points = table[table[by] == group]
            ax.scatter(
                points[x],
                points[y],
                c=look.color,
                marker=look.marker,
                s=60,
                label=group,
                **POINT,
            )
        ax.margins(0.1)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(style), **LEGEND)
        texts = [
            ax.text(row[x], row[y], str(row[label]), fontsize=SMALLEST, zorder=4)
            for row in table.to_dict("records")
        ]
        _part(fig, texts, table[x].to_numpy(float), table[y].to_numpy(float), seed)
    return fig, texts


def _covered(names: list[Text]) -> int:
    """How many names lie over another."""
    boxes = [text.get_window_extent() for text in names]
    return sum(box.count_overlaps(boxes[:i]) > 0 for i, box in enumerate(boxes))


def _near_zero(values: np.ndarray) -> bool:
    """Whether a line at zero would stand among the values, or close by."""
    reach = NEAR * np.ptp(values)
    return bool(values.min() - reach <= 0 <= values.max() + reach)


def _part(fig: Figure, texts: list[Text], x: np.ndarray, y: np.ndarray, seed: int) -> None:
    fig.draw_without_rendering()
    x, y = _rims(fig, x, y)
    fig.set_layout_engine("none")  # what is laid out now stays where the names were placed for it
    state = np.random.get_state()  # adjust_text draws from numpy's global generator
    try:
        np.random.seed(seed)
        adjust_text(
            texts,
            x=x,
            y=y,
            ax=fig.axes[0],
            iter_lim=500,
            time_lim=None,
            expand=(1.2, 1.5),
            force_text=(0.2, 0.4),
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.7},
        )
    finally:
        np.random.set_state(state)


def _rims(fig: Figure, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every point and four on the rim of its marker, in the numbers of the axes."""
    across = fig.axes[0].transData
    middle = across.transform(np.column_stack([x, y]))
    reach = RADIUS * fig.dpi / 72
    steps = reach * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    rim = (middle[:, None, :] + steps).reshape(-1, 2)
    rim_x, rim_y = across.inverted().transform(rim).T
    return rim_x, rim_y
