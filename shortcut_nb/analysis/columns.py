"""A check of a table's columns, before anything is computed of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def check_columns(table: Any, wanted: Iterable[str]) -> None:
    """Make sure that a table has columns.

    Args:
        table: a pandas DataFrame.

    Raises:
        KeyError: naming the columns that are not there, and those that are.
    """
    missing = [column for column in wanted if column not in table]
    if missing:
        there = ", ".join(map(str, table.columns)) or "none"
        raise KeyError(f"no column {', '.join(missing)}: there are {there}")
