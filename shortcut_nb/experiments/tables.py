"""Tables of a measurement for reading: numbers with intervals and n, under the metrics' labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ..metrics import METRICS, describe
from .contrasts import selector
from .measured import Measurement

MARK = "**"
VERDICTS = (
    "A verdict reads the interval: confirmed where it lies as predicted, refuted where it lies "
    "wholly elsewhere. p is one-sided. Exploratory ones are not corrected for their number."
)
SAYS = {"instance": "V* samples", "class": "class samples"}


@dataclass(frozen=True, eq=False)
class Table:
    """Text in rows, and the numbers behind it.

    Attributes:
        name: of its files: lower-case letters, digits and "_".
        title, note: what it shows; how to read it.
        header, rows: text, as many cells in each row as in the header.
        marked: numbers of the rows that matter most.
        data: the numbers, tidy.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    data: pd.DataFrame
    note: str = ""
    marked: frozenset[int] = field(default=frozenset())

    def markdown(self) -> str:
        """The table in Markdown; rows that matter are bold."""
        lines = [self.header, ("---",) * len(self.header)]
        for i, row in enumerate(self.rows):
            bold = i in self.marked
            lines.append(tuple(f"{MARK}{cell}{MARK}" if bold and cell else cell for cell in row))
        return "\n".join("| " + " | ".join(_escaped(line)) + " |" for line in lines)

    def _repr_mimebundle_(self, include=None, exclude=None):  # noqa: ANN001, ANN202
        """Shown by a notebook as Markdown, under its title and above its note."""
        text = "\n\n".join(filter(None, (f"*{self.title}*", self.markdown(), self.note)))
        return {"text/markdown": text, "text/plain": text}


def table_of(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    title: str,
    marked: Iterable[bool] = (),
    note: str = "",
    digits: int | Mapping[str, int] = 2,
) -> Table:
    """Some columns of a frame for reading: numbers rounded, with their intervals where it has any.

    Args:
        frame: a column "x" may have "x_low" and "x_high" beside it.
        columns: the columns shown, in order, with their headings.
        marked: for each row whether it is the one that matters.
        digits: decimals, of all columns or of each by name (2 where none are given).

    Raises:
        KeyError: a column that is not there.
    """
    texts = []
    for column in columns:
        places = digits.get(column, 2) if isinstance(digits, Mapping) else digits
        texts.append(_texts(frame, column, places))
    rows = tuple(zip(*texts, strict=True))
    chosen = frozenset(i for i, mark in enumerate(marked) if mark)
    return Table("table", title, tuple(columns.values()), rows, frame, note, chosen)


def _texts(frame: pd.DataFrame, column: str, digits: int) -> list[str]:
    values = frame[column]
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return ["" if pd.isna(value) else str(value) for value in values]
    if pd.api.types.is_integer_dtype(values):
        return [str(value) for value in values]
    if f"{column}_low" not in frame:
        return [number(value, math.nan, math.nan, digits) for value in values]
    ends = frame[[column, f"{column}_low", f"{column}_high"]].to_numpy()
    return [number(value, low, high, digits) for value, low, high in ends]


def number(value: float, low: float, high: float, digits: int, sign: bool = False) -> str:
    """ "0.37 [0.19, 0.53]"; without an interval the number alone, and nothing for NaN."""
    if pd.isna(value):
        return ""
    spec = f"{'+' if sign else ''}.{digits}f"
    value, low, high = (round(float(each), digits) + 0.0 for each in (value, low, high))  # no -0.00
    ends = "" if pd.isna(low) else f" [{low:{spec}}, {high:{spec}}]"
    return f"{value:{spec}}{ends}"


def digits_for(lows: Iterable[float], highs: Iterable[float], values: Iterable[float]) -> int:
    """Decimals that suit a column: a fifth of the typical half-interval is the last shown."""
    halves = [(high - low) / 2 for low, high in zip(lows, highs, strict=True) if high > low]
    scale = sorted(halves)[len(halves) // 2] / 5 if halves else _largest(values) / 100
    return 2 if scale <= 0 else min(4, max(0, -math.floor(math.log10(scale))))


def verdict_table(measured: Measurement) -> Table | None:
    """Every contrast with its interval, n and verdict; the primary one is marked. None without."""
    if not measured.contrasts:
        return None
    judged, rows = measured.verdicts(), []
    for row in judged.to_dict("records"):
        column = describe(row["metric"])
        digits = digits_for([row["low"]], [row["high"]], [row["mean"]])
        rows.append(
            (
                row["contrast"],
                str(column) + (f", {SAYS.get(row['sheet'], row['sheet'])}" if row["sheet"] else ""),
                f"within ±{row['margin']:g}" if row["expect"] == "0" else f"{row['expect']}",
                number(row["mean"], row["low"], row["high"], digits, sign=True),
                f"{row['n']}",
                probability(row["p"])
                + (" (Holm " + probability(row["p_holm"]) + ")" if pd.notna(row["p_holm"]) else ""),
                row["role"],
                row["verdict"],
            )
        )
    header = (
        "prediction",
        "measure",
        "predicted",
        "difference [95 % t interval]",
        "people",
        "p",
        "role",
        "verdict",
    )
    primary = frozenset(judged.index[judged["role"] == "primary"])
    title = "Predictions and verdicts"
    return Table("verdicts", title, header, tuple(rows), judged, VERDICTS, primary)


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
    by, present = measured.varying, [m for m in metrics if m in set(data["metric"])]
    digits = {m: digits_for(p["low"], p["high"], p["mean"]) for m, p in data.groupby("metric")}
    groups = [(_tuple(key), part.set_index("metric")) for key, part in data.groupby(by, sort=False)]
    rows = [
        (
            *map(str, key),
            *(_cell(part, metric, digits[metric]) for metric in present),
            str(part["n"].max()),
        )
        for key, part in groups
    ]
    header = (*by, *(_header(metric) for metric in present), "people")
    chosen = primary_cells(measured)
    marked = frozenset(i for i, (key, _) in enumerate(groups) if key in chosen)
    note = (
        "Means over people with Student's t interval (95 %). Bold: cells of the primary contrast."
    )
    return Table(name, title, header, tuple(rows), data, note if marked else note[:57], marked)


def primary_cells(measured: Measurement) -> set[tuple[str, ...]]:
    """The values of the varying axes that the primary contrasts compare."""
    cells: set[tuple[str, ...]] = set()
    for contrast in measured.contrasts:
        for cell in contrast.weights if contrast.primary else ():
            part = measured.frame
            for column, value in selector(cell).items():
                part = part[part[column].map(str) == value] if column in part else part
            cells |= set(map(tuple, part[measured.varying].drop_duplicates().to_numpy().tolist()))
    return cells


def measures(measured: Measurement) -> tuple[list[str], list[str]]:
    """Columns of scores of samples, and the others: what was trained on, and what it cost."""
    faithful = set(METRICS["faithfulness"].columns)
    own = {column for metric in METRICS.values() for column in metric.columns} - faithful
    own |= {contrast.metric for contrast in measured.contrasts} | {"noise"}
    scores = [column for column in measured.metrics if column in own]
    return scores, [column for column in measured.metrics if column not in own]


def all_tables(measured: Measurement) -> list[Table]:
    """Verdicts, then means of scores a sheet, then pictures and costs."""
    scores, others = measures(measured)
    tables = [verdict_table(measured)]
    for sheet in measured.frame["sheet"].unique():
        title = SAYS.get(sheet, f"samples under “{sheet}”")
        name = "scores_" + "".join(c if c.isalnum() else "_" for c in sheet.lower())
        tables.append(means_table(measured, name, f"Scores of {title}", scores, sheet))
    title = "The pictures trained on, and what it cost"
    tables.append(means_table(measured, "pictures_and_costs", title, others, None))
    return [table for table in tables if table is not None]


def _cell(part: pd.DataFrame, metric: str, digits: int) -> str:
    if metric not in part.index:
        return ""
    row = part.loc[metric]
    return number(row["mean"], row["low"], row["high"], digits)


def _header(metric: str) -> str:
    column = describe(metric)
    arrow = {"higher": " ↑", "lower": " ↓", None: ""}[column.better]
    return f"{column}{arrow}"


def _largest(values: Iterable[float]) -> float:
    return max((abs(value) for value in values if pd.notna(value)), default=0.0)


def _escaped(line: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in line]


def _tuple(key: object) -> tuple:
    return key if isinstance(key, tuple) else (key,)
