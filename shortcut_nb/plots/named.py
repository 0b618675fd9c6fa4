"""Points that all carry their names, none over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from adjustText import adjust_text
from matplotlib.figure import Figure

from ..columns import check_columns
from .page import PAGE_WIDTH, POINT, SMALLEST
from .palette import Look
from .style import theme

SEED = 0
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
    height: float = 5.6,
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
    with theme():
        fig = Figure((PAGE_WIDTH, height), layout="constrained")
        ax = fig.subplots()
        if _near_zero(complete[y].to_numpy(float)):
            ax.axhline(0, color="0.6", linewidth=1, zorder=0)
        for group, look in style.items():
            points = complete[complete[by] == group]
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
        ax.set(xlabel=xlabel or x, ylabel=ylabel or y)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(style))
        texts = [
            ax.text(row[x], row[y], str(row[label]), fontsize=SMALLEST, zorder=4)
            for row in complete.to_dict("records")
        ]
        _part(fig, texts, complete[x].to_numpy(float), complete[y].to_numpy(float))
    return fig


def _near_zero(values: np.ndarray) -> bool:
    """Whether a line at zero would stand among the values, or close by."""
    reach = NEAR * np.ptp(values)
    return bool(values.min() - reach <= 0 <= values.max() + reach)


def _part(fig: Figure, texts: list[Any], x: np.ndarray, y: np.ndarray) -> None:
    fig.draw_without_rendering()
    x, y = _rims(fig, x, y)
    fig.set_layout_engine("none")  # what is laid out now stays where the names were placed for it
    state = np.random.get_state()  # adjust_text draws from numpy's global generator
    try:
        np.random.seed(SEED)
        adjust_text(
            texts,
            x=x,
            y=y,
            ax=fig.axes[0],
            iter_lim=500,
            time_lim=None,
            expand=(1.12, 1.3),
            force_text=(0.15, 0.3),
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
