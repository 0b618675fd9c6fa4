"""Means with 95 % intervals, drawn as points: a bar would hide where zero is arbitrary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..analysis.columns import check_columns
from .palette import SPARE, looks
from .style import theme

BETWEEN = 0.7  # rows that stay free between two groups
WIDE = 5  # panels side by side
LONG = 28  # letters of a row's name for which a figure is not widened


def interval_plot(
    table: pd.DataFrame,
    by: str = "condition",
    group: str | None = None,
    xlabel: str = "mean and 95 % interval",
    reference: float | None = None,
    pitch: float = 0.32,
    among: Sequence[str] | None = None,
) -> Figure:
    """A point and a horizontal interval per row.

    Args:
        table: the columns ``by``, ``mean, low, high, n``, and ``group``'s where there is one.
        by: column of the condition (colour).
        group: column of the group (place on the axis), or None.
        reference: a vertical line to compare with, such as 0 or the clean value.
        pitch: inches from a row to the next.
        among: all conditions of the figures that this one stands beside, which then have the same
            looks in each; None looks at this table alone.
    """
    groups = table[group].nunique() if group else 0
    style = looks(table[by].tolist() if among is None else among)
    lines = len(table) + groups
    with theme():
        longest = max(len(str(name)) for name in table[by if group is None else group])
        width = 6.5 + 0.1 * max(0, longest - LONG)
        fig = Figure((width, 0.9 + pitch * lines), layout="constrained")
        ax = fig.subplots()
        if reference is not None:
            ax.axvline(reference, color="0.4", linewidth=1, linestyle="--", zorder=1)
        placed, ticks = _placed(table, by, group)
        for row in placed.to_dict("records"):
            look, y = style[row[by]], row["y"]
            ax.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=2)
            label = row[by] if row["first"] else None
            ax.plot(row["mean"], y, look.marker, color=look.color, markersize=8, label=label)
        ax.set_yticks(list(ticks), list(ticks.values()))
        ax.set(xlabel=xlabel, ylim=(placed["y"].max() + 0.7, -0.7))
        ax.grid(axis="y", visible=False)
        if group is not None:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def interval_panels(
    table: pd.DataFrame, row: str, panel: str, xlabel: str = "mean and 95 % interval"
) -> Figure:
    """A point and a horizontal interval per row, a panel per group; panels share rows and scale.

    Args:
        table: the columns ``row``, ``panel``, ``mean, low, high``; each row at most once a panel.

    Raises:
        UserError: a column that is not there.
    """
    check_columns(table, [row, panel, "mean", "low", "high"])
    names, groups = list(dict.fromkeys(table[row])), list(dict.fromkeys(table[panel]))
    wide = min(WIDE, len(groups))
    high = math.ceil(len(groups) / wide)
    color = SPARE[0].color
    with theme():
        size = (1.6 + 2.1 * wide, high * (0.9 + 0.26 * len(names)))
        fig = Figure(size, layout="constrained")
        axes = fig.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
        for ax, group in zip(axes.flat, groups, strict=False):
            for each in table[table[panel] == group].to_dict("records"):
                y = names.index(each[row])
                ax.plot([each["low"], each["high"]], [y, y], color=color, linewidth=2, alpha=0.5)
                ax.plot(each["mean"], y, "o", color=color, markersize=6)
            ax.set_title(str(group))
        for ax in axes.flat[len(groups) :]:
            ax.set_axis_off()
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        fig.supxlabel(xlabel, fontsize=11)
    return fig


def _placed(
    table: pd.DataFrame, by: str, group: str | None
) -> tuple[pd.DataFrame, dict[float, str]]:
    """The rows with their heights ``y`` and whether each is the ``first`` of its condition.

    Also what is written at which height: a row's name, or its group's in the middle of its rows.
    """
    if group is None:
        rows = table.assign(y=np.arange(len(table), dtype=np.float64))
        ticks = {row["y"]: f"{row[by]} (n={row['n']})" for row in rows.to_dict("records")}
    else:
        order = list(dict.fromkeys(table[group]))
        places = table[group].map(order.index).to_numpy()
        rows = table.iloc[np.argsort(places, kind="stable")]
        rows = rows.assign(y=np.arange(len(rows)) + BETWEEN * np.sort(places))
        ends = rows.groupby(group, sort=False)["y"].agg(["min", "max"]).mean(axis=1)
        ticks = {y: str(name) for name, y in ends.items()}
    return rows.assign(first=~rows[by].duplicated()), ticks
