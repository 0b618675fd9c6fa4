"""A check of a table's columns, before anything is computed of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import UserError


def check_columns(table: Any, wanted: Iterable[str]) -> None:
    """Make sure that a table has columns.

    Args:
        table: a pandas DataFrame.

    Raises:
        UserError: naming the columns that are not there, and those that are.
    """
    missing = [column for column in wanted if column not in table]
    if missing:
        there = ", ".join(map(str, table.columns)) or "none"
        raise UserError(f"no column {', '.join(missing)}: there are {there}")
