"""Means with 95 % intervals: Student's t over people."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.stats import t

from ..errors import UserError


class Interval(NamedTuple):
    """A mean, its 95 % interval, and the number of values."""

    mean: float
    low: float
    high: float
    n: int


def t_mean(values: ArrayLike) -> Interval:
    """Mean and Student's t interval (95 %, ``scipy.stats.t``) of one number per person.

    Args:
        values: (m,) numbers; NaN means "no value" and is left out.

    Returns:
        ``(mean, low, high, n)``. Of a single value low and high are NaN; of equal values both are
        the mean.

    Raises:
        UserError: no value left, or an infinite one.
    """
    every = _array(values, "values")
    each = every[~np.isnan(every)]
    if not len(each):
        raise UserError(f"values: expected at least one number, got {len(every)} missing values")
    if np.isinf(each).any():
        raise UserError("values: expected finite numbers, got an infinite one: cap or drop it")
    mean, n = float(each.mean()), len(each)
    error = float(stats.sem(each)) if n > 1 else float("nan")
    low, high = t_ends(mean, error, n)
    return Interval(mean, float(low), float(high), n)


def t_ends(mean: ArrayLike, error: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The ends of Student's t intervals (95 %), of numbers or of arrays of one shape.

    Args:
        error: standard errors of the means; NaN where ``n`` is 1.
        n: values behind each mean.

    Returns:
        ``(low, high)``; NaN where the error is.
    """
    freedom = np.maximum(np.asarray(n) - 1, 1)
    half = t.ppf(0.975, freedom) * np.asarray(error)
    return np.asarray(mean) - half, np.asarray(mean) + half


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's (1979) step-down correction: adjusted p-values (m,), in the order given; NaN stays.

    Raises:
        UserError: what is no list of numbers.
    """
    values = _array(p, "p")
    adjusted = np.full(len(values), np.nan)
    there = np.flatnonzero(~np.isnan(values))
    order = there[np.argsort(values[there], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return adjusted


def _array(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise UserError(f"{name}: expected a list of numbers, got shape {array.shape}")
    return array
