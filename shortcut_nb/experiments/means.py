"""Means over people with their intervals, below each other or side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..metrics.stats import t_ends


def means_over_people(
    frame: pd.DataFrame, metrics: Sequence[str], by: Sequence[str]
) -> pd.DataFrame:
    """Means over people with Student's t interval, one row per group and metric.

    A person's pictures are averaged within a seed, then the seeds.

    Args:
        frame: the columns ``by``, ``subject``, ``seed``, and the metrics; NaN is "no value".

    Returns:
        ``by``, ``metric, mean, low, high, n``; a metric without any value is left out.

    Raises:
        ValueError: an infinite number.
    """
    keys, columns = list(by), list(metrics)
    runs = frame.groupby([*keys, "subject", "seed"], sort=False)[columns].mean()
    people = runs.groupby(level=[*keys, "subject"], sort=False).mean()
    if np.isinf(people.to_numpy(float)).any():
        raise ValueError("expected finite numbers, got an infinite one")
    groups = people.groupby(level=keys, sort=False)
    table = pd.DataFrame(
        {
            "mean": groups.mean().stack(),
            "error": groups.sem().stack(),
            "n": groups.count().stack(),
        }
    )
    table = table.rename_axis([*keys, "metric"]).reset_index()
    table = table[table["n"] > 0]
    low, high = t_ends(table["mean"], table["error"], table["n"])
    table = table.assign(low=low, high=high)
    return table[[*keys, "metric", "mean", "low", "high", "n"]].reset_index(drop=True)


def ends_of(column: str) -> dict[str, str]:
    """What a wide table calls a mean and the ends of its interval: "x", "x_low", "x_high"."""
    return {"mean": column, "low": f"{column}_low", "high": f"{column}_high"}


def widened(
    table: pd.DataFrame, keys: Sequence[str], columns: Sequence[str], named: str = "metric"
) -> pd.DataFrame:
    """Means below each other as means beside each other, a row for each value of the keys.

    Args:
        table: the columns ``keys``, ``named``, ``mean, low, high``.
        columns: the values of ``named`` that become columns, "x", "x_low" and "x_high" each.
    """
    keys = list(keys)
    wide = table[keys].drop_duplicates().set_index(keys)
    for column in columns:
        ends = ends_of(column)
        own = table[table[named] == column].set_index(keys)[list(ends)]
        wide = wide.join(own.rename(columns=ends))
    return wide.copy().reset_index()  # in one piece: joined one by one it is slow to add to


def by_whose(means: pd.DataFrame) -> pd.Series:
    """The name of each row's score: "quality" of V* samples, "quality, class" of the class's; NaN
    of another sheet's.

    Args:
        means: the columns ``metric`` and ``sheet``.
    """
    return means["metric"] + means["sheet"].map({"instance": "", "class": ", class"})
