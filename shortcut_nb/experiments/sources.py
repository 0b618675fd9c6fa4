"""What a report is made from: a kept measurement, a file of scored samples, or an older result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..metrics import describe
from ..results import read_result
from .measured import FORMAT, Measurement, read_table
from .page import Page, page_of
from .samples import samples_of
from .tables import Table, digits_for, number

OLD = (
    "Means over people with bootstrap intervals (95 %), of the first miniature: the values of "
    "single people were not kept."
)
HIDDEN = ("direction", "agreeing", "weakest", "holds", "kind")  # what a verdict was computed from


def report_of(name: str, profile: str = "mini") -> tuple[Page, pd.DataFrame | None]:
    """The page of a measurement, and its frame where there is one.

    Args:
        name: of a profile's result, or the path of a CSV or Parquet file with one row per sample.

    Raises:
        UserError: nothing of the kind is there, or it cannot be read.
    """
    path = Path(name).expanduser()
    if path.suffix in (".csv", ".parquet"):
        measured = Measurement.of(path.stem, read_table(path), profile=profile)
        return page_of(measured), measured.frame
    content = read_result(name, profile)
    if content.get("format") != FORMAT:
        return old_page(name, profile, content), None
    measured = Measurement.read(name, profile)
    return page_of(measured, samples_of(measured)), measured.frame


def old_page(name: str, profile: str, content: Mapping[str, Any]) -> Page:
    """The tables of a result that was written before measurements kept their frames."""
    tables = [
        old_table(key, pd.DataFrame(rows))
        for key, rows in content.items()
        if isinstance(rows, list) and rows and isinstance(rows[0], Mapping)
    ]
    facts = [f"profile {profile}"]
    for key, words in (("subjects", "people"), ("seeds", "seeds")):
        facts += [f"{len(content[key])} {words}"] if key in content else []
    facts += [f"{key} {content[key]}" for key in ("eps", "samples", "attack") if key in content]
    return Page(name, "", tuple(facts), tables, [])


def old_table(key: str, data: pd.DataFrame) -> Table:
    """Rows with "x", "x_low", "x_high" (or "low", "high" of their first number) as text."""
    ends = _intervals(list(data))
    gone = {end for pair in ends.values() for end in pair} | set(HIDDEN)
    gone |= {f"{column}_{word}" for column in data for word in HIDDEN}
    kept = [column for column in data if column not in gone]
    columns = [_column(data, column, ends.get(column)) for column in kept]
    name = key.replace("_", " ")
    header = tuple(str(column).replace("_", " ") for column in kept)
    return Table(key, name.capitalize(), header, tuple(zip(*columns, strict=True)), data, OLD)


def _intervals(columns: list[str]) -> dict[str, tuple[str, str]]:
    """The columns with the ends of another's interval, by the other's name."""
    ends = {c: (f"{c}_low", f"{c}_high") for c in columns if f"{c}_low" in columns}
    if "low" in columns:
        value = next((c for c in ("mean", "difference", "value") if c in columns), None)
        ends |= {value: ("low", "high")} if value else {}
    return ends


def _column(data: pd.DataFrame, column: str, ends: tuple[str, str] | None) -> list[str]:
    values = data[column]
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        named = {c: describe(c).label for c in values.unique()} if column == "score" else {}
        return ["" if _missing(value) else named.get(value, str(value)) for value in values]
    if ends is None:
        return ["" if _missing(value) else f"{value:.4g}" for value in values]
    low, high = (data[end] for end in ends)
    digits = digits_for(low, high, values)
    return [number(*row, digits) for row in zip(values, low, high, strict=True)]


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and pd.isna(value))
