"""Rows in order of their effect: a point and its interval for each series."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.columns import check_columns
from ..errors import UserError
from .layout import LEGEND, PAGE_WIDTH, POINT, SMALLEST, legend_of
from .palette import Look
from .style import theme

PITCH = 0.3  # inches from a row to the next


def ranked_plot(
    table: pd.DataFrame,
    style: Mapping[str, Look],
    *,
    by: str = "group",
    panel: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
    reference: float | None = 0.0,
    start: float | None = None,
    legend: bool = True,
) -> Figure:
    """Points with intervals at page width, a row per name, in the order of the table.

    The points of a name are joined by a thin line.

    Args:
        table: columns ``name``, ``by``, ``mean``, ``low``, ``high`` and ``panel``.
        style: the look of each value of ``by``, in the order of the legend.
        panel: column of panels side by side that share their rows; None draws one.
        ylabel: what the names are, where they do not say so.
        reference: where a vertical line stands; None draws none.
        start: where the axis begins; None is what the numbers ask.
        legend: False leaves out what the colours say, where the rows' names say it.

    Raises:
        UserError: a column that is not there; nothing to draw.
    """
    check_columns(table, ["name", by, "mean", "low", "high", *([panel] if panel else [])])
    complete = table.dropna(subset=["mean"])
    if complete.empty:
        raise UserError("expected rows to draw, got none")
    names = list(dict.fromkeys(complete["name"]))
    panels = list(dict.fromkeys(complete[panel])) if panel else [None]
    with theme():
        fig = Figure((PAGE_WIDTH, 1.3 + PITCH * len(names)), layout="constrained")
        axes = fig.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
        for ax, here in zip(axes, panels, strict=True):
            part = complete if here is None else complete[complete[panel] == here]
            _rows(ax, part, names, style, by)
            if reference is not None:
                ax.axvline(reference, color="0.35", linewidth=1, zorder=1)
            ax.set_title(here or "", fontsize=SMALLEST + 1)
            ax.tick_params(labelsize=SMALLEST)
        axes[0].set_yticks(range(len(names)), names, fontsize=SMALLEST)
        axes[0].set_ylabel(ylabel, fontsize=SMALLEST + 1)
        axes[0].set_ylim(len(names) - 0.4, -0.6)
        if start is not None:
            axes[0].set_xlim(left=start)
        fig.supxlabel(xlabel, fontsize=SMALLEST + 1)
        if legend:
            _legend(fig, axes)
    return fig


def _rows(
    ax: Axes,
    part: pd.DataFrame,
    names: list[str],
    style: Mapping[str, Look],
    by: str,
) -> None:
    groups = [group for group in style if group in set(part[by])]
    for group in groups:
        look, own = style[group], part[part[by] == group]
        y = [names.index(name) for name in own["name"]]
        ax.hlines(y, own["low"], own["high"], color=look.color, linewidth=2, alpha=0.55, zorder=2)
        ax.scatter(
            own["mean"],
            y,
            c=look.color,
            marker=look.marker,
            s=52,
            label=group,
            **POINT,
        )
    if len(groups) > 1:
        for name, own in part.groupby("name", sort=False):
            ends = [own["mean"].min(), own["mean"].max()]
            ax.plot(ends, [names.index(name)] * 2, color="0.75", linewidth=1, zorder=1)
    ax.grid(axis="y", visible=False)


def _legend(fig: Figure, axes: list[Axes]) -> None:
    named = legend_of(axes)
    if len(named) > 1:
        fig.legend(
            named.values(),
            named,
            loc="outside upper center",
            ncols=len(named),
            **LEGEND,
        )
