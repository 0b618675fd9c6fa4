"""Pareto plots: what candidates give back against what they keep, their front, and seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..analysis.columns import check_columns
from ..errors import UserError
from .layout import PAGE_WIDTH
from .palette import Look, many_looks
from .style import theme

COLUMNS = 3
SIZES = {0.001: "a millisecond or less", 0.1: "a tenth of a second", 10.0: "ten seconds"}
"""Seconds whose points' areas the legend shows."""


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
    """One panel per group: a point per candidate with its interval, those of the front ringed.

    A candidate looks the same in every panel, and the legend names it. The front is joined by a
    line where nothing but ``x`` and ``y`` decides it.

    Args:
        table: one row per candidate and panel: ``x``, ``y``, ``y_low``, ``y_high``, ``front``
            (whether none beats it) and ``label``.
        panel: column of the panels; None draws one.
        seconds: column of costs, which the points' areas show on a logarithmic scale.

    Raises:
        UserError: a column that is not there; no row has both numbers.
    """
    need = [x, y, f"{y}_low", f"{y}_high", "front", label, *filter(None, (panel, seconds))]
    check_columns(table, need)
    complete = table.dropna(subset=[x, y])
    if complete.empty:
        raise UserError(f"expected rows with both {x!r} and {y!r}, got none")
    groups = [(None, complete)] if panel is None else list(complete.groupby(panel, sort=False))
    wide = 2 if len(groups) == 4 else min(COLUMNS, len(groups))
    high = math.ceil(len(groups) / wide)
    style = many_looks(complete[label])
    with theme():
        size = (3.9 * wide + 2.2, 3.6 * high) if len(groups) > 1 else (PAGE_WIDTH, 5.2)
        fig = Figure(size, layout="constrained")
        axes = fig.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
        for ax, (name, part) in zip(axes.flat, groups, strict=False):
            _panel(ax, part, x, y, label, seconds, style)
            ax.set_xlabel(xlabel or x)
            ax.margins(x=0.12)
            ax.tick_params(labelbottom=True)  # every panel has its label, so its numbers, too
            ax.set_title(str(name) if name is not None else "")
        for ax in axes.flat[len(groups) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel(ylabel or y)
        fig.legend(handles=_legend(style, seconds is not None), loc="outside right center")
    return fig


def _panel(
    ax: Axes,
    part: pd.DataFrame,
    x: str,
    y: str,
    label: str,
    seconds: str | None,
    style: Mapping[str, Look],
) -> None:
    ax.axhline(0, color="0.6", linewidth=1, linestyle="--", zorder=0)
    if seconds is None:  # a front of three measures is no line
        front = part[part["front"]].sort_values(x)
        ax.plot(front[x], front[y], color="0.3", linewidth=2, alpha=0.5, zorder=1)
    for row in part.to_dict("records"):
        look = style[str(row[label])]
        ax.plot([row[x]] * 2, [row[f"{y}_low"], row[f"{y}_high"]], color=look.color, alpha=0.35)
        ax.scatter(
            [row[x]],
            [row[y]],
            s=_area(row[seconds]) if seconds else 40.0,
            color=look.color,
            marker=look.marker,
            edgecolors="black" if row["front"] else "white",
            linewidths=1.3 if row["front"] else 0.6,
            zorder=4 if row["front"] else 3,
        )


def _legend(style: Mapping[str, Look], sized: bool) -> list[Line2D]:
    """A line for each candidate, one for the front, and what the areas say."""
    lines = [_mark(name, look.color, look.marker, 49.0) for name, look in style.items()]
    lines.append(_mark("no other is better", "none", "o", 49.0, "black"))
    if sized:
        lines += [_mark(text, "0.6", "o", _area(seconds)) for seconds, text in SIZES.items()]
    return lines


def _mark(text: str, color: str, marker: str, area: float, edge: str = "white") -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="",
        label=text,
        color=color,
        marker=marker,
        markersize=math.sqrt(area),
        markeredgecolor=edge,
    )


def _area(seconds: float) -> float:
    """Square points: 25 at a millisecond or less, 40 more for each factor of ten."""
    return 25 + 40 * max(0.0, np.log10(max(seconds, 1e-9) * 1000))
