"""What comes back against what is kept: candidates, the front of those none beats, and seconds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..columns import check_columns
from .page import PAGE_WIDTH
from .palette import OKABE_ITO
from .scatter import thin_out
from .style import theme

COLUMNS = 3


def pareto_plot(
    table: pd.DataFrame,
    x: str,
    y: str,
    panel: str | None = None,
    label: str = "label",
    xlabel: str | None = None,
    ylabel: str | None = None,
    seconds: str | None = None,
) -> Figure:
    """One panel per group: a named point per candidate with its interval, those of the front green.

    The front is joined by a line where nothing but ``x`` and ``y`` decides it.

    Where names would cover each other, the ones farther from the middle are kept.

    Args:
        table: one row per candidate and panel: ``x``, ``y``, ``y_low``, ``y_high``, ``front``
            (whether none beats it) and ``label``.
        panel: column of the panels; None draws one.
        seconds: column of costs, which the points' areas show on a logarithmic scale.

    Raises:
        KeyError: a column that is not there. ValueError: no row has both numbers.
    """
    need = [x, y, f"{y}_low", f"{y}_high", "front", label, *filter(None, (panel, seconds))]
    check_columns(table, need)
    complete = table.dropna(subset=[x, y])
    if complete.empty:
        raise ValueError(f"expected rows with both {x!r} and {y!r}, got none")
    groups = [(None, complete)] if panel is None else list(complete.groupby(panel, sort=False))
    wide = 2 if len(groups) == 4 else min(COLUMNS, len(groups))
    high = math.ceil(len(groups) / wide)
    with theme():
        size = (4.4 * wide, 3.8 * high) if len(groups) > 1 else (PAGE_WIDTH, 5.2)
        fig = Figure(size, layout="constrained")
        axes = fig.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
        for ax, (name, part) in zip(axes.flat, groups, strict=False):
            _panel(ax, part, x, y, label, seconds)
            ax.set_xlabel(xlabel or x)
            ax.margins(x=0.12)
            ax.tick_params(labelbottom=True)  # every panel has its label, so its numbers, too
            ax.set_title(str(name) if name is not None else "")
        for ax in axes.flat[len(groups) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel(ylabel or y)
        thin_out(fig)
    return fig


def _panel(ax: Axes, part: pd.DataFrame, x: str, y: str, label: str, seconds: str | None) -> None:
    ax.axhline(0, color="0.6", linewidth=1, linestyle="--", zorder=0)
    if seconds is None:  # a front of three measures is no line
        front = part[part["front"]].sort_values(x)
        ax.plot(front[x], front[y], color=OKABE_ITO["green"], linewidth=2, alpha=0.5, zorder=1)
    middle = (part[x].min() + part[x].max()) / 2
    for row in part.to_dict("records"):
        color = OKABE_ITO["green"] if row["front"] else OKABE_ITO["blue"]
        ax.plot([row[x]] * 2, [row[f"{y}_low"], row[f"{y}_high"]], color=color, alpha=0.45)
        area = _area(row[seconds]) if seconds else 40.0
        ax.scatter([row[x]], [row[y]], s=area, color=color, edgecolors="white", zorder=3)
        left = row[x] > middle  # written towards the middle, so that it stays inside
        ax.annotate(
            str(row[label]),
            (row[x], row[y]),
            (-7 if left else 7, 4),
            textcoords="offset points",
            fontsize=10,
            ha="right" if left else "left",
        )


def _area(seconds: float) -> float:
    """Square points: 25 at a millisecond or less, 40 more for each factor of ten."""
    return 25 + 40 * max(0.0, np.log10(max(seconds, 1e-9) * 1000))
