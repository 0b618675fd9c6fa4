"""Tables for reading: numbers with intervals and n, under the metrics' labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from ..experiments.contrasts import selector
from ..experiments.means import widened
from ..experiments.measured import Measurement
from ..metrics import METRICS, describe
from ..metrics.frame import IMAGE_COLUMNS
from ..probes import IMAGE_PROBES

MARK = "**"
VERDICTS = (
    "A verdict reads the interval: confirmed where it lies as predicted, refuted where it lies "
    "wholly elsewhere. p is one-sided. Exploratory ones are not corrected for their number."
)
MEANS = "Means over people with Student's t interval (95 %)."
SHEET_LABELS = {"instance": "V* samples", "class": "class samples"}
ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


@dataclass(frozen=True, eq=False)
class Table:
    """Text in rows, and the numbers behind it.

    Attributes:
        name: of its files: lower-case letters, digits and "_".
        title, note: what it shows; how to read it.
        header, rows: text, as many cells in each row as in the header.
        marked: numbers of the rows that matter most.
        folded: whether the other rows are folded away below those.
        data: the numbers, tidy.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    data: pd.DataFrame
    note: str = ""
    marked: frozenset[int] = field(default=frozenset())
    folded: bool = False

    def markdown(self) -> str:
        """The table in Markdown; rows that matter are bold, or the only ones that stand open."""
        if not (self.folded and self.marked):
            bold = [
                tuple(f"{MARK}{cell}{MARK}" if i in self.marked and cell else cell for cell in row)
                for i, row in enumerate(self.rows)
            ]
            return self._markdown(bold)
        opened = [row for i, row in enumerate(self.rows) if i in self.marked]
        others = [row for i, row in enumerate(self.rows) if i not in self.marked]
        text = self._markdown(opened)
        if others:
            heading = f"<details><summary>The other {len(others)}</summary>"
            text = f"{text}\n\n{heading}\n\n{self._markdown(others)}\n\n</details>"
        return text

    def _markdown(self, rows: Sequence[Sequence[str]]) -> str:
        """The header and some rows."""
        lines = [self.header, ("---",) * len(self.header), *rows]
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        return "\n".join("| " + " | ".join(line) + " |" for line in escaped)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """Shown by a notebook as Markdown, under its title and above its note."""
        text = "\n\n".join(filter(None, (f"*{self.title}*", self.markdown(), self.note)))
        return {"text/markdown": text, "text/plain": text}


def table_of(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    title: str = "",
    marked: Iterable[bool] = (),
    note: str = "",
    digits: int | str | Mapping[str, int | str] = 2,
    name: str = "table",
    folded: bool = False,
) -> Table:
    """Some columns of a frame for reading: numbers rounded, with their intervals where it has any.

    Args:
        frame: a column "x" may have "x_low" and "x_high" beside it.
        columns: the columns shown, in order, with their headings.
        marked: for each row whether it is the one that matters.
        digits: decimals or a format ("+.2f"), of all columns or of each by name (else 2).
        folded: whether the rows that do not matter are folded away below those that do.

    Raises:
        KeyError: a column that is not there.
    """
    texts = []
    for column in columns:
        own = digits.get(column, 2) if isinstance(digits, Mapping) else digits
        texts.append(texts_of(frame, column, own))
    rows = tuple(zip(*texts, strict=True))
    chosen = frozenset(i for i, mark in enumerate(marked) if mark)
    return Table(name, title, tuple(columns.values()), rows, frame, note, chosen, folded)


def texts_of(frame: pd.DataFrame, column: str, digits: int | str) -> list[str]:
    """A column as text, numbers with their intervals where the frame has any."""
    values = frame[column]
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return ["" if pd.isna(value) else str(value) for value in values]
    if pd.api.types.is_integer_dtype(values):
        return [f"{value:{digits if isinstance(digits, str) else ''}}" for value in values]
    if f"{column}_low" not in frame:
        return [number(value, math.nan, math.nan, digits) for value in values]
    ends = frame[[column, f"{column}_low", f"{column}_high"]].to_numpy()
    return [number(value, low, high, digits) for value, low, high in ends]


def number(value: float, low: float, high: float, digits: int | str, sign: bool = False) -> str:
    """ "0.37 [0.19, 0.53]"; without an interval the number alone, and nothing for NaN.

    Args:
        digits: decimals, or a format, "+.2f".
    """
    if pd.isna(value):
        return ""
    spec = digits if isinstance(digits, str) else f"{'+' if sign else ''}z.{digits}f"  # no -0.00
    ends = "" if pd.isna(low) else f" [{low:{spec}}, {high:{spec}}]"
    return f"{value:{spec}}{ends}"


def digits_for(lows: Iterable[float], highs: Iterable[float], values: Iterable[float]) -> int:
    """Decimals that suit a column: a fifth of the typical half-interval is the last shown."""
    halves = [(high - low) / 2 for low, high in zip(lows, highs, strict=True) if high > low]
    largest = max((abs(value) for value in values if pd.notna(value)), default=0.0)
    scale = sorted(halves)[len(halves) // 2] / 5 if halves else largest / 100
    return 2 if scale <= 0 else min(4, max(0, -math.floor(math.log10(scale))))


def verdict_table(measured: Measurement) -> Table | None:
    """Every contrast with its interval, n and verdict; the primary one is marked. None without."""
    if not measured.contrasts:
        return None
    judged = measured.verdicts()
    rows = judged.to_dict("records")
    text = judged.assign(
        contrast=[spoken(row["contrast"], row["metric"]) for row in rows],
        measure=[_measure(row) for row in rows],
        predicted=[
            f"within ±{row['margin']:g}" if row["expect"] == "0" else row["expect"] for row in rows
        ],
        difference=[
            number(
                row["mean"],
                row["low"],
                row["high"],
                digits_for([row["low"]], [row["high"]], [row["mean"]]),
                sign=True,
            )
            for row in rows
        ],
        chance=[
            probability(row["p"])
            + (f" (Holm {probability(row['p_holm'])})" if pd.notna(row["p_holm"]) else "")
            for row in rows
        ],
    )
    columns = {
        "contrast": "prediction",
        "measure": "measure",
        "predicted": "predicted",
        "difference": "difference [95 % t interval]",
        "n": "people",
        "chance": "p",
        "role": "role",
        "verdict": "verdict",
    }
    title, primary = "Predictions and verdicts", judged["role"] == "primary"
    table = table_of(text, columns, title, primary, VERDICTS, name="verdicts")
    return replace(table, data=judged)


def _measure(row: Mapping[str, Any]) -> str:
    """The label of a verdict's metric, and of which samples it is."""
    sheet = SHEET_LABELS.get(row["sheet"], row["sheet"])
    return f"{describe(row['metric'])}{f', {sheet}' if sheet else ''}"


def spoken(contrast: str, metric: str) -> str:
    """A contrast's name as it is read: a metric's name that is no plain word by its label."""
    if "_" not in metric:
        return contrast
    return re.sub(rf"\b{re.escape(metric)}\b", short_label(metric), contrast)


def short_label(metric: str) -> str:
    """A metric's label up to its first comma: "identity match"."""
    return describe(metric).label.partition(",")[0]


def probability(p: float) -> str:
    """A p-value as it is read: "0.013", "< 0.001"."""
    return "" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def means_table(
    measured: Measurement, name: str, title: str, metrics: Sequence[str], sheet: str | None
) -> Table | None:
    """Means of cells with intervals, a column per metric; cells of a primary contrast are marked.

    None where nothing of the sheet, or none of the metrics, was measured.
    """
    data = measured.means(metrics, sheet=sheet)
    if data.empty:
        return None
    by = measured.varying
    present = [metric for metric in metrics if metric in set(data["metric"])]
    wide = widened(data, by, present)
    people = data.groupby(by, sort=False)["n"].max().to_numpy()
    digits = {
        metric: digits_for(part["low"], part["high"], part["mean"])
        for metric, part in data.groupby("metric")
    }
    columns = {axis: axis for axis in by} | {metric: heading(metric) for metric in present}
    chosen = primary_cells(measured)
    marked = [key in chosen for key in wide[by].itertuples(index=False, name=None)]
    note = f"{MEANS} Bold: cells of the primary contrast." if any(marked) else MEANS
    columns["people"] = "people"
    table = table_of(wide.assign(people=people), columns, title, marked, note, digits, name)
    return replace(table, data=data)


def primary_cells(measured: Measurement) -> set[tuple[str, ...]]:
    """The values of the varying axes that the primary contrasts compare."""
    cells: set[tuple[str, ...]] = set()
    for contrast in measured.contrasts:
        for cell in contrast.weights if contrast.primary else ():
            part = measured.frame
            for column, value in selector(cell).items():
                part = part[part[column].map(str) == value] if column in part else part
            cells |= set(part[measured.varying].itertuples(index=False, name=None))
    return cells


def metric_columns(measured: Measurement) -> tuple[list[str], list[str]]:
    """The measured columns in two lists: scores of samples; measures of pictures, and costs."""
    asked = {contrast.metric for contrast in measured.contrasts}
    others = {*IMAGE_COLUMNS, *METRICS["faithfulness"].columns} - asked
    others |= {column for probe in IMAGE_PROBES.values() for column in probe.columns} - asked
    scores = [column for column in measured.metrics if column not in others]
    return scores, [column for column in measured.metrics if column in others]


def all_tables(measured: Measurement) -> list[Table]:
    """Verdicts, then means of scores a sheet, then pictures and costs."""
    scores, others = metric_columns(measured)
    tables = [verdict_table(measured)]
    names: set[str] = set()
    for sheet in measured.frame["sheet"].unique():
        title = SHEET_LABELS.get(sheet, f"samples under “{sheet}”")
        name = "scores_" + "".join(c if c.isalnum() else "_" for c in sheet.lower())
        name += f"_{len(names)}" * (name in names)
        names.add(name)
        tables.append(means_table(measured, name, f"Scores of {title}", scores, sheet))
    title = "The pictures trained on, and what it cost"
    tables.append(means_table(measured, "pictures_and_costs", title, others, None))
    return [table for table in tables if table is not None]


def heading(metric: str) -> str:
    """A metric's label with an arrow to where it is better."""
    column = describe(metric)
    return f"{column}{ARROWS[column.better]}"
