"""Predictions about a frame of measurements, and what the measurements say of each.

A contrast is a linear combination of cells, with its predicted sign. The person is the unit:
pictures, then seeds, are averaged within a person, and the interval is Student's t over people. It
is an interval given the seeds: what a seed draws is the same for everybody, so that the spread
between people does not hold it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from ..errors import UserError
from ..metrics.stats import holm, t_mean
from ..registry import nearest

LEVEL = 0.025  # of each one-sided test: what a two-sided 95 % interval leaves on one side
CONDITION = "condition"  # the column in which a cell's plain name is looked up
_COLUMN = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Contrast:
    """A linear combination of cells, with the sign that the question predicts.

    Args:
        name: the prediction in words.
        metric: a column of the frame.
        weights: coefficient of each cell. A cell is a plain name (the column ``condition``), or
            columns with their values, ``"attack=aspl & purifier=none"``; there ``sheet=class``
            takes the place of the contrast's own sheet.
        sheet: whose samples count; None takes every row.
        expect: "+" above zero, "-" below zero, "0" no difference as large as the margin.
        primary: whether the question is decided by this contrast; the others are exploratory.
        margin: for "0" alone: the smallest difference that would matter, in the metric's unit.
        why: the reason for the prediction, where the name does not say it.

    Raises:
        ValueError: a field that cannot be, saying which and what is expected.
    """

    name: str
    metric: str
    weights: Mapping[str, float]
    sheet: str | None = "instance"
    expect: str = "+"
    primary: bool = False
    margin: float | None = None
    why: str = ""

    def __post_init__(self) -> None:
        where = f"contrast {self.name!r}"
        for key in ("name", "metric", "why"):
            if not isinstance(getattr(self, key), str):
                raise ValueError(f"{where}: {key} must be text, got {getattr(self, key)!r}")
        if not isinstance(self.sheet, str | None):
            raise ValueError(f"{where}: sheet must be text, got {self.sheet!r}")
        if not self.name.strip() or not self.metric.strip():
            raise ValueError(f"{where}: expected a name and a metric, got metric {self.metric!r}")
        object.__setattr__(self, "weights", _weights(self.weights, where))
        if self.expect not in ("+", "-", "0"):
            raise ValueError(f'{where}: expect must be "+", "-" or "0", got {self.expect!r}')
        if not isinstance(self.primary, bool):
            raise ValueError(f"{where}: primary must be true or false, got {self.primary!r}")
        if (self.expect == "0") != (self.margin is not None):
            raise ValueError(
                f'{where}: a margin belongs to expect "0" and to nothing else; '
                f"got expect {self.expect!r} and margin {self.margin!r}"
            )
        if self.margin is not None and not _is_above_zero(self.margin):
            raise ValueError(f"{where}: the margin must be above 0, got {self.margin!r}")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Contrast:
        """A contrast from plain values, as a YAML file has them; ``expect: 0`` is "0".

        Raises:
            ValueError: a field that is unknown, missing or cannot be.
        """
        names = [field.name for field in fields(cls)]
        for key in content:
            if key not in names:
                raise ValueError(f"a contrast has no field {key!r}: {_hint(key, names)}")
        if missing := {"name", "metric", "weights"} - set(content):
            raise ValueError(f"a contrast needs {', '.join(sorted(missing))}: got {dict(content)}")
        values = dict(content)
        if values.get("expect") == 0:
            values["expect"] = "0"
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """What :meth:`from_dict` reads: what it must have, and what differs from the defaults."""
        usual = {field.name: field.default for field in fields(self)}
        return {name: each for name, each in asdict(self).items() if each != usual[name]}

    def cells(self) -> list[dict[str, str]]:
        """The columns and values that select each cell, in the order of the weights."""
        base = {} if self.sheet is None else {"sheet": self.sheet}
        return [base | selector(cell) for cell in self.weights]


def _is_finite(value: Any) -> bool:
    """Whether it is a number, and no truth value, that a float can hold."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max


def _is_above_zero(margin: Any) -> bool:
    """Whether it is a finite number above 0."""
    return _is_finite(margin) and margin > 0


def selector(cell: str) -> dict[str, str]:
    """Columns and values of a cell: "attack=aspl & eps=8/255"; a plain name is a condition."""
    parts = [part.partition("=") for part in cell.split(" & ")]
    if all(sign and _COLUMN.fullmatch(column.strip()) for column, sign, _ in parts):
        return {column.strip(): value.strip() for column, _, value in parts}
    return {CONDITION: cell}


def load_contrasts(contents: Iterable[Mapping[str, Any]]) -> list[Contrast]:
    """The contrasts of one question.

    Raises:
        ValueError: a bad contrast, or two of one name.
    """
    contrasts = [Contrast.from_dict(content) for content in contents]
    names = [contrast.name for contrast in contrasts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two contrasts are called {twice[0]!r}: give each a name of its own")
    return contrasts


def per_subject(frame: pd.DataFrame, contrast: Contrast) -> pd.Series:
    """The contrast within each person: mean over pictures, combination, mean over seeds.

    Only seeds in which all cells were measured count, and only people with such a seed.

    Args:
        frame: one row per picture: the columns that cells select by, ``subject``, ``seed`` (may be
            absent), and the metric; NaN is "no value".

    Returns:
        One number per subject, in the metric's unit; empty when a cell was not measured.

    Raises:
        UserError: the frame has no such column.
    """
    return all_per_subject(frame, [contrast])[0]


def all_per_subject(frame: pd.DataFrame, contrasts: Sequence[Contrast]) -> list[pd.Series]:
    """:func:`per_subject` of several contrasts; what they have in common is averaged once."""
    cells = _Cells(frame, contrasts)
    return [cells.combined(contrast) for contrast in contrasts]


class _Cells:
    """The cells of a frame and their combinations, each averaged once for all metrics.

    Args:
        strict: a metric that the frame does not have is an error; else it has no value.
    """

    def __init__(
        self, frame: pd.DataFrame, contrasts: Sequence[Contrast], strict: bool = True
    ) -> None:
        for contrast in contrasts:
            for column in ("subject", contrast.metric) if strict else ("subject",):
                _need_column(frame, column, contrast)
        absent = {contrast.metric for contrast in contrasts} - set(frame.columns)
        frame = frame.assign(**dict.fromkeys(sorted(absent), np.nan))
        keys = [name for name in ("subject", "seed") if name in frame]
        self.frame = frame = frame.dropna(subset=keys)
        self.metrics = list(dict.fromkeys(contrast.metric for contrast in contrasts))
        columns = [_numbers(frame[metric]) for metric in self.metrics]
        self.values = np.array(columns, float).reshape(len(columns), len(frame)).T
        self.unit = frame.groupby(keys).ngroup().to_numpy() if keys else np.empty(0, int)
        first = np.unique(self.unit, return_index=True)[1]
        people = frame["subject"].iloc[first] if keys else []
        self.person, self.people = pd.factorize(np.asarray(people, object), sort=True)
        self._text: dict[str, np.ndarray] = {}
        self._means: dict[Any, np.ndarray] = {}
        self._combined: dict[Any, np.ndarray] = {}

    def combined(self, contrast: Contrast) -> pd.Series:
        """See :func:`per_subject`."""
        cells = [tuple(sorted(cell.items())) for cell in contrast.cells()]
        parts = tuple(zip(cells, contrast.weights.values(), strict=True))
        if parts not in self._combined:
            each = [weight * self._mean(cell, contrast) for cell, weight in parts]
            total = np.sum(each, axis=0)
            self._combined[parts] = _group_means(total, self.person, len(self.people))
        own = self._combined[parts][:, self.metrics.index(contrast.metric)]
        return pd.Series(own, pd.Index(self.people, name="subject")).dropna()

    def _mean(self, cell: tuple[tuple[str, str], ...], contrast: Contrast) -> np.ndarray:
        """Means over a cell's pictures by person and seed, (units, metrics); NaN where none is."""
        if cell not in self._means:
            rows = self._rows(dict(cell), contrast)
            means = _group_means(self.values[rows], self.unit[rows], len(self.person))
            self._means[cell] = means
        return self._means[cell]

    def _rows(self, cell: Mapping[str, str], contrast: Contrast) -> np.ndarray:
        """Which rows belong to a cell; a missing value reads "none"."""
        chosen = np.full(len(self.frame), True)
        for column, value in cell.items():
            if column == "sheet" and column not in self.frame:
                continue  # measures of pictures, which were not sampled
            if column not in self._text:
                _need_column(self.frame, column, contrast)
                values = self.frame[column].astype(object)
                self._text[column] = values.where(values.notna(), "none").map(str).to_numpy(object)
            chosen &= self._text[column] == value
        return chosen

    def why_missing(self, contrast: Contrast) -> str:
        """Why a contrast has no value."""
        column = self.metrics.index(contrast.metric)
        for name, cell in zip(contrast.weights, contrast.cells(), strict=True):
            if np.isnan(self._mean(tuple(sorted(cell.items())), contrast)[:, column]).all():
                there = (
                    sorted(map(str, self.frame[CONDITION].unique()))
                    if CONDITION in self.frame
                    else []
                )
                hint = f"; conditions there are: {'; '.join(there[:30])}" if there else ""
                return (
                    f"contrast {contrast.name!r}: nothing was measured of cell {name!r} "
                    f"(sheet {cell.get('sheet')}, {contrast.metric}){hint}"
                )
        return f"contrast {contrast.name!r}: no person was measured in all of its cells"


def _numbers(column: pd.Series) -> np.ndarray:
    """A column as float; what is missing is NaN.

    Raises:
        UserError: there is text in it.
    """
    if any(isinstance(value, str) for value in column.astype(object)):
        raise UserError(f"expected numbers in the column {column.name!r}, got text")
    return column.to_numpy(float, na_value=np.nan)


def _group_means(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Means of rows by group, (count, columns), NaN left out; NaN where a group has none."""
    there = ~np.isnan(values)
    sums, numbers = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, groups, np.where(there, values, 0.0))
    np.add.at(numbers, groups, there)
    return np.divide(sums, numbers, out=np.full_like(sums, np.nan), where=numbers > 0)


def judge(frame: pd.DataFrame, contrasts: Sequence[Contrast], strict: bool = True) -> pd.DataFrame:
    """What the measurements say of each contrast of one question.

    The verdict reads the 95 % t interval over people: "confirmed" when it lies where the prediction
    puts it (above zero, below zero, or within ± margin: two one-sided tests, TOST), "refuted" when
    it lies wholly elsewhere (beyond zero, or beyond the margin), else "undecided". Where a question
    has several primary contrasts, "confirmed" also needs Holm's p at 0.025. The others are
    exploratory and not corrected.

    Args:
        frame: see :func:`per_subject`.
        strict: a cell or a metric without measurements is an error; else its contrast is "not
            measured".

    Returns:
        One row per contrast: ``contrast, metric, sheet, expect, role`` ("primary", "exploratory"),
        ``mean, low, high`` (metric's unit), ``interval`` ("t"), ``n`` (people), ``agreeing`` (share
        of people as predicted), ``weakest`` (the person furthest from the prediction; below 0 is
        against it), ``p`` (one-sided; for "0" TOST's), ``p_holm`` (primary ones), ``margin`` and
        ``verdict``.

    Raises:
        UserError: a column or (strict) a cell that the frame does not have.
    """
    rows, cells = [], _Cells(frame, contrasts, strict)
    for contrast in contrasts:
        each = cells.combined(contrast)
        if strict and each.empty:
            raise UserError(cells.why_missing(contrast))
        rows.append(_judged(contrast, each.to_numpy()))
    table = pd.DataFrame(rows, columns=COLUMNS)
    primary = table["role"] == "primary"
    table.loc[primary, "p_holm"] = holm(table.loc[primary, "p"])
    unsure = (table["verdict"] == "confirmed") & (table["p_holm"] > LEVEL)
    table.loc[unsure, "verdict"] = "undecided"
    return table


COLUMNS = [
    "contrast",
    "metric",
    "sheet",
    "expect",
    "role",
    "mean",
    "low",
    "high",
    "interval",
    "n",
    "agreeing",
    "weakest",
    "p",
    "p_holm",
    "margin",
    "verdict",
]


def _judged(contrast: Contrast, each: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan) | {
        "contrast": contrast.name,
        "metric": contrast.metric,
        "sheet": contrast.sheet,
        "expect": contrast.expect,
        "role": "primary" if contrast.primary else "exploratory",
        "interval": "t",
        "n": len(each),
        "verdict": "not measured",
    }
    if contrast.margin is not None:
        row["margin"] = contrast.margin
    if len(each) == 0:
        return row
    mean, low, high, _ = t_mean(each)
    towards = _towards(each, contrast)
    return row | {
        "mean": mean,
        "low": low,
        "high": high,
        "agreeing": float((towards > 0).mean()),
        "weakest": float(towards.min()),
        "p": _p(each, contrast),
        "verdict": verdict_from(low, high, contrast.expect, contrast.margin),
    }


def _towards(each: np.ndarray, contrast: Contrast) -> np.ndarray:
    """How far each person lies on the predicted side; below 0 is against the prediction."""
    if contrast.margin is not None:
        return contrast.margin - np.abs(each)
    return each if contrast.expect == "+" else -each


def _p(each: np.ndarray, contrast: Contrast) -> float:
    if len(each) < 2:
        return float("nan")
    if contrast.margin is not None:
        above = _one_sided(each, -contrast.margin, "greater")
        return max(above, _one_sided(each, contrast.margin, "less"))
    return _one_sided(each, 0.0, "greater" if contrast.expect == "+" else "less")


def _one_sided(each: np.ndarray, against: float, side: str) -> float:
    gap = float(each.mean()) - against
    if np.ptp(each) == 0:  # no spread: t is infinite, or 0/0
        right = gap > 0 if side == "greater" else gap < 0
        return 0.0 if right else 0.5 if gap == 0 else 1.0
    return float(ttest_1samp(each, against, alternative=side).pvalue)


def verdict_from(low: float, high: float, expect: str = "+", margin: float | None = None) -> str:
    """What an interval says of a prediction; see :func:`judge`. One that is NaN decides nothing.

    Args:
        expect, margin: see :class:`Contrast`.
    """
    if margin is not None:
        confirmed = -margin < low and high < margin
        refuted = low >= margin or high <= -margin
    else:
        above, below = low > 0, high < 0
        confirmed, refuted = (above, below) if expect == "+" else (below, above)
    return "confirmed" if confirmed else "refuted" if refuted else "undecided"


def _weights(weights: Any, where: str) -> dict[str, float]:
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(
            f"{where}: weights must give each cell a coefficient, such as "
            f"{{aspl: 1, clean: -1}}; got {weights!r}"
        )
    for cell, weight in weights.items():
        if not _is_finite(weight) or weight == 0:
            raise ValueError(
                f"{where}: the weight of {cell!r} must be a number other than 0, got {weight!r}"
            )
    return {str(cell): float(weight) for cell, weight in weights.items()}


def _need_column(frame: pd.DataFrame, column: str, contrast: Contrast) -> None:
    if column not in frame:
        hint = _hint(column, map(str, frame.columns)) if len(frame.columns) else "there are none"
        raise UserError(f"contrast {contrast.name!r}: no column {column!r}; {hint}")


def _hint(name: object, known: Iterable[str]) -> str:
    there = list(known)
    return f"did you mean {nearest(name, there, 1)!r}? There are {', '.join(there)}"
