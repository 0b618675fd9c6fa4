"""Scores against a setting or a training step, one line per condition, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.columns import check_columns
from ..errors import UserError
from .layout import PAGE_WIDTH, POINT, SMALLEST, legend_of
from .palette import Look, looks
from .style import theme

LONG = 30  # letters of a name of which three do not fit side by side
APART = 0.012  # of the axis: two lines whose intervals are bars, at places that still read true


def curve_plot(
    table: pd.DataFrame,
    x: str = "step",
    by: str = "condition",
    panel: str | None = None,
    titles: Mapping[str, str] | None = None,
    ylabel: str = "mean and 95 % interval",
    xlabel: str | None = None,
    sharey: bool | Literal["row", "col"] = False,
    shaded: bool = True,
    columns: int | None = None,
    points: pd.DataFrame | None = None,
    points_name: str = "",
    style: Mapping[str, Look] | None = None,
) -> Figure:
    """Lines with 95 % intervals, one panel per value of ``panel``.

    Args:
        table: columns ``x``, ``by``, ``mean``, ``low``, ``high`` and ``panel``; NaN intervals
            (a single subject) are not drawn.
        titles: what stands above a panel instead of its value.
        xlabel: None is ``x``.
        sharey: one scale for all panels, where they show the same score; "row" or "col": for those
            of a row or a column.
        shaded: whether intervals are bands; else bars, a little apart, at the few places where
            something was measured.
        columns: that many panels in a row, the figure as wide as a page and its legend above.
            None is one row, as wide as its panels, with the legend on the right.
        points: further means as dots over the lines, in the colours of their ``by``; columns ``x``,
            ``by``, ``mean`` and ``panel``.
        points_name: what the legend calls the dots.
        style: the look of each line; None is that of its name, see :func:`.palette.looks`.

    Raises:
        UserError: a column that is not there; nothing to draw, or more than eight lines.
    """
    check_columns(table, [x, by, "mean", "low", "high", *([panel] if panel else [])])
    if not len(table):
        raise UserError("expected rows to draw, got an empty table")
    if points is not None:
        check_columns(points, [x, by, "mean", *([panel] if panel else [])])
    panels = list(dict.fromkeys(table[panel])) if panel else [None]
    style = style or looks(table[by].tolist())
    colors = {name: look.color for name, look in style.items()}
    aside = dict.fromkeys(style, 0.0) if shaded else _aside(table, x, by)
    with theme():
        fig, axes = _panels(len(panels), columns, sharey)
        for ax, here in zip(axes, panels, strict=True):
            rows = table if here is None else table[table[panel] == here]
            for name, part in rows.groupby(by, sort=False):
                part = part.sort_values(x)
                draw = _line if shaded else _bars
                draw(ax, part.assign(**{x: part[x] + aside[name]}), x, name, style[name])
            if not shaded:
                ax.set_xticks(sorted(set(table[x])))
            if points is not None:
                dots = points if here is None else points[points[panel] == here]
                ax.scatter(dots[x], dots["mean"], c=dots[by].map(colors), **POINT)
            if here is not None:
                ax.set_title((titles or {}).get(here, str(here)))
        if points is not None:
            axes[0].scatter([], [], color="0.4", label=points_name)  # for the legend alone
        _labels(fig, axes, xlabel or x, ylabel, columns)
    return fig


def _aside(table: pd.DataFrame, x: str, by: str) -> dict[str, float]:
    """How far each line stands beside its places, so that bars do not cover each other."""
    names = list(dict.fromkeys(table[by]))
    step = APART * (table[x].max() - table[x].min())
    return {name: step * (place - (len(names) - 1) / 2) for place, name in enumerate(names)}


def _panels(
    count: int, columns: int | None, sharey: bool | Literal["row", "col"]
) -> tuple[Figure, list[Axes]]:
    """An empty figure with that many panels."""
    across = columns or count
    down = -(-count // across)
    size = (PAGE_WIDTH, 1.1 + 2.8 * down) if columns else (1.6 + 3.2 * count, 3.2)
    fig = Figure(size, layout="constrained")
    axes = fig.subplots(down, across, sharex=True, sharey=sharey, squeeze=False).ravel().tolist()
    for empty in axes[count:]:
        empty.remove()
    for last in axes[max(0, count - across) : count]:
        last.xaxis.set_tick_params(labelbottom=True)  # those above an empty place, too
    return fig, axes[:count]


def _labels(fig: Figure, axes: list[Axes], xlabel: str, ylabel: str, columns: int | None) -> None:
    """What the axes and the lines are called: once a figure if it is a page's, else by panel."""
    handles = legend_of(axes)
    lines, names = list(handles.values()), list(handles)
    if columns:
        fig.supxlabel(xlabel, fontsize=SMALLEST)
        fig.supylabel(ylabel, fontsize=SMALLEST)
        beside = 3 if max(map(len, names)) <= LONG else 2
        fig.legend(lines, names, loc="outside upper center", ncols=beside, fontsize=SMALLEST)
        return
    for ax in axes:
        ax.set(xlabel=xlabel)
    axes[0].set_ylabel(ylabel)
    axes[-1].legend(lines, names, loc="center left", bbox_to_anchor=(1, 0.5))


def _bars(ax: Axes, rows: pd.DataFrame, x: str, name: str, look: Look) -> None:
    """One condition: a line through the means, and the intervals as bars."""
    ax.vlines(rows[x], rows["low"], rows["high"], color=look.color, linewidth=1.5, alpha=0.55)
    ax.plot(
        rows[x],
        rows["mean"],
        color=look.color,
        linestyle=look.dash,
        linewidth=1.5,
        marker=look.marker,
        markersize=9,
        markeredgecolor=POINT["edgecolors"],
        markeredgewidth=POINT["linewidths"],
        zorder=POINT["zorder"],
        label=name,
    )


def _line(ax: Axes, rows: pd.DataFrame, x: str, name: str, look: Look) -> None:
    """One condition: a line through the means, and the intervals shaded."""
    ax.plot(
        rows[x],
        rows["mean"],
        color=look.color,
        linestyle=look.dash,
        marker=look.marker,
        markersize=5,
        label=name,
    )
    ax.fill_between(rows[x], rows["low"], rows["high"], color=look.color, alpha=0.15, linewidth=0)
