"""Means with 95 % intervals, drawn as points: a bar would hide where zero is arbitrary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..columns import check_columns
from ..metrics.stats import bootstrap_mean
from .palette import looks
from .style import theme

LONG = 28  # letters of a row's name for which a figure is not widened


def interval_table(
    frame: pd.DataFrame,
    value: str,
    by: str = "condition",
    group: str | None = None,
    clusters: str | None = None,
    n: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean and 95 % bootstrap interval of a column, one row per group and condition.

    Args:
        frame: tidy, one row per picture.
        value: the column to average; NaN is left out.
        by: column of the condition (colour).
        group: column of the group (place on the axis), or None.
        clusters: column of the identity to resample by, or None for single pictures.
        n, seed: of the bootstrap.

    Returns:
        Columns ``[group,] by, mean, low, high, n`` in order of first mention.

    Raises:
        KeyError: a column that is not there. ValueError: a condition without any value.
    """
    keys = ([group] if group else []) + [by]
    check_columns(frame, [*keys, value, *([clusters] if clusters else [])])
    rows = []
    for key, part in frame.groupby(keys, sort=False, observed=True):
        labels = part[clusters].tolist() if clusters else None
        interval = bootstrap_mean(part[value].to_numpy(np.float64), n, seed, labels)
        rows.append(dict(zip(keys, key, strict=True)) | interval._asdict())
    return pd.DataFrame(rows)


def interval_plot(
    table: pd.DataFrame,
    by: str = "condition",
    group: str | None = None,
    xlabel: str = "mean and 95 % interval",
    title: str | None = None,
    reference: float | None = None,
    pitch: float = 0.32,
    among: Sequence[str] | None = None,
) -> Figure:
    """Draw what :func:`interval_table` returned: a point and a horizontal interval per row.

    Args:
        reference: a vertical line to compare with, such as 0 or the clean value.
        pitch: inches from a row to the next.
        among: all conditions of the figures that this one stands beside, which then have the same
            looks in each; None looks at this table alone.
    """
    groups = list(dict.fromkeys(table[group])) if group else [None]
    style = looks(table[by].tolist() if among is None else among)
    lines = len(table) + len(groups) * (group is not None)
    with theme():
        longest = max(len(str(name)) for name in table[by if group is None else group])
        width = 6.5 + 0.1 * max(0, longest - LONG)
        fig = Figure((width, 0.9 + pitch * lines), layout="constrained")
        ax = fig.subplots()
        if reference is not None:
            ax.axvline(reference, color="0.4", linewidth=1, linestyle="--", zorder=1)
        ticks, names, y, labelled = [], [], 0.0, set()
        for here in groups:
            part = table if group is None else table[table[group] == here]
            start = y
            for row in part.to_dict("records"):
                look, name = style[row[by]], row[by]
                ax.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=2)
                label = None if name in labelled else name
                ax.plot(row["mean"], y, look.marker, color=look.color, markersize=8, label=label)
                labelled.add(name)
                if group is None:
                    ticks.append(y)
                    names.append(f"{name} (n={row['n']})")
                y += 1
            if group is not None:
                ticks.append((start + y - 1) / 2)
                names.append(str(here))
                y += 0.7
        ax.set_yticks(ticks, names)
        ax.set(xlabel=xlabel, ylim=(y - 0.3, -0.7))
        ax.grid(axis="y", visible=False)
        if title:
            ax.set_title(title)
        if group is not None:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
