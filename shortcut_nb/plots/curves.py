"""Scores against a setting or a training step, one line per condition, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..columns import check_columns
from .page import legend_of
from .palette import Look, looks
from .style import theme


def curve_plot(
    table: pd.DataFrame,
    x: str = "step",
    by: str = "condition",
    panel: str | None = None,
    titles: Mapping[str, str] | None = None,
    ylabel: str = "mean and 95 % interval",
    xlabel: str | None = None,
    sharey: bool = False,
) -> Figure:
    """Lines with shaded 95 % intervals, one panel per value of ``panel``.

    Args:
        table: columns ``x``, ``by``, ``mean``, ``low``, ``high`` and ``panel``; NaN intervals
            (a single subject) are not shaded.
        titles: what stands above a panel instead of its value.
        xlabel: None is ``x``.
        sharey: one scale for all panels, where they show the same score.

    Raises:
        KeyError: a column that is not there. ValueError: nothing to draw, or more than eight lines.
    """
    check_columns(table, [x, by, "mean", "low", "high", *([panel] if panel else [])])
    if not len(table):
        raise ValueError("expected rows to draw, got an empty table")
    panels = list(dict.fromkeys(table[panel])) if panel else [None]
    style = looks(table[by].tolist())
    with theme():
        fig = Figure((1.6 + 3.2 * len(panels), 3.2), layout="constrained")
        axes = fig.subplots(1, len(panels), sharex=True, sharey=sharey, squeeze=False)[0]
        for ax, here in zip(axes, panels, strict=True):
            rows = table if here is None else table[table[panel] == here]
            for name, part in rows.groupby(by, sort=False):
                _line(ax, part.sort_values(x), x, name, style[name])
            ax.set(xlabel=xlabel or x)
            if here is not None:
                ax.set_title((titles or {}).get(here, str(here)))
        axes[0].set_ylabel(ylabel)
        handles = legend_of(axes)
        axes[-1].legend(handles.values(), handles, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


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
