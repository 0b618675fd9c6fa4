"""Scatter plots in which every point has its name beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ..analysis.columns import check_columns
from ..errors import UserError
from .layout import LEGEND, PAGE_WIDTH, POINT, SMALLEST
from .palette import Look
from .placing import LED, PAD, place_names
from .style import theme

RADIUS = 4.5  # points of an inch, of a marker
AREA = 48.0  # square points, of a marker
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
    aside: float = PAD,
) -> Figure:
    """One number against another at page width, every row as a point with its name.

    As far as there is room no name stands over a point or another name; a thin line leads back
    where one had to go far, see :mod:`.placing`. A line marks zero where it is among the numbers or
    close by. The same table gives the same picture.

    Args:
        table: one row per point; rows without a number are left out.
        style: the look of each value of ``by``, in the order of the legend.
        height: inches.
        aside: least gap between two names side by side, in points of an inch.

    Raises:
        UserError: a column that is not there; no row has both numbers.
    """
    check_columns(table, [x, y, label, by])
    complete = table.dropna(subset=[x, y])
    if complete.empty:
        raise UserError(f"expected rows with both {x!r} and {y!r}, got none")
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
                s=AREA,
                label=group,
                **POINT,
            )
        ax.margins(0.1)
        ax.set(xlabel=xlabel or x, ylabel=ylabel or y)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(style), **LEGEND)
        names = complete[label].astype(str).tolist()
        _name(fig, ax, complete[[x, y]].to_numpy(float), names, aside)
    return fig


def _name(fig: Figure, ax: Axes, points: np.ndarray, names: list[str], aside: float) -> None:
    """Write a name beside each point (n, 2), and a line to it where it stands far off."""
    texts = [
        ax.text(x, y, name, fontsize=SMALLEST, zorder=4, in_layout=False)
        for (x, y), name in zip(points, names, strict=True)
    ]
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # what is laid out now stays where the names are placed for it
    unit = fig.dpi / 72  # pixels to a point of an inch
    sizes = [text.get_window_extent().size for text in texts]
    boxes, lines = place_names(
        ax.transData.transform(points) / unit,
        np.array(sizes) / unit,
        np.array(ax.bbox.extents) / unit,
        RADIUS,
        aside,
    )
    back = ax.transData.inverted()
    for text, box in zip(texts, boxes, strict=True):
        text.set(position=back.transform((box[:2] + box[2:]) / 2 * unit), ha="center", va="center")
    far = np.linalg.norm(lines[:, 2:] - lines[:, :2], axis=1) > LED
    ends = back.transform(lines[far].reshape(-1, 2) * unit).reshape(-1, 2, 2)
    ax.add_collection(
        LineCollection(list(ends), colors="0.5", linewidths=0.7, zorder=2), autolim=False
    )


def _near_zero(values: np.ndarray) -> bool:
    """Whether a line at zero would stand among the values, or close by."""
    reach = NEAR * np.ptp(values)
    return bool(values.min() - reach <= 0 <= values.max() + reach)
