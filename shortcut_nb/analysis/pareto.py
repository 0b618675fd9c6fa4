"""Pareto fronts: the rows that no other row dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import UserError
from .columns import check_columns


def pareto(table: pd.DataFrame, rising: Sequence[str], falling: Sequence[str] = ()) -> pd.Series:
    """Which rows lie on the Pareto front.

    A row is off the front when another is at least as good in every column and better in one.
    Equal rows are on it or off it together. A row with a missing value is off, and beats nobody.

    Args:
        table: one row per candidate.
        rising: columns of which more is better.
        falling: columns of which less is better.

    Returns:
        Booleans with the table's index.

    Raises:
        UserError: no column. UserError: a column that is not there.
    """
    columns = [*rising, *falling]
    if not columns:
        raise UserError("expected at least one column to compare by, got none")
    check_columns(table, columns)
    good = table[columns].astype(float)
    good[list(falling)] *= -1
    whole = good.notna().all(axis=1).to_numpy()
    values = good.to_numpy()
    rivals = values[whole]
    beaten = [((rivals >= own).all(axis=1) & (rivals > own).any(axis=1)).any() for own in values]
    return pd.Series(whole & ~np.array(beaten, dtype=bool), index=table.index)
