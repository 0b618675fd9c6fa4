"""What a report is made from: a kept measurement, a file of scored samples, or an older result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..experiments.measured import FORMAT, Measurement, read_table
from ..experiments.samples import samples_of
from ..metrics import describe
from ..results import holder_of, read_result, title_of
from .page import Page, page_of
from .tables import Table, digits_for, table_of

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
    profile = holder_of(name, profile)
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
    facts = [f"profile {title_of(profile)}"]
    for key, words in (("subjects", "people"), ("seeds", "seeds")):
        facts += [f"{len(content[key])} {words}"] if key in content else []
    facts += [f"{key} {content[key]}" for key in ("eps", "samples", "attack") if key in content]
    return Page(name, "", tuple(facts), tables, [])


def old_table(key: str, data: pd.DataFrame) -> Table:
    """Rows with "x", "x_low", "x_high" (or "low", "high" of their first number) as text."""
    first = next((column for column in ("mean", "difference", "value") if column in data), None)
    data = data.rename(columns={end: f"{first}_{end}" for end in ("low", "high") if first})
    hidden = set(HIDDEN) | {f"{column}_{word}" for column in data for word in HIDDEN}
    ends = [column for column in data if f"{column}_low" in data]
    hidden |= {f"{column}_{end}" for column in ends for end in ("low", "high")}
    columns = {column: str(column).replace("_", " ") for column in data if column not in hidden}
    digits: dict[str, int | str] = dict.fromkeys(columns, ".4g")
    for column in ends:
        digits[column] = digits_for(data[f"{column}_low"], data[f"{column}_high"], data[column])
    if "score" in data:
        data = data.assign(score=[describe(score).label for score in data["score"]])
    title = key.replace("_", " ").capitalize()
    return table_of(data, columns, title, note=OLD, digits=digits, name=key)
