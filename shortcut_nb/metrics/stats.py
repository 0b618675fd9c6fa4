"""Means with 95 % intervals: Student's t over people, a bootstrap over clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.stats import bootstrap, t

BATCH_CELLS = 2_000_000
Side = tuple[np.ndarray, np.ndarray]
"""Sums and counts of the units of one side."""
Arrays = tuple[np.ndarray, ...]
"""The same of one side, or of both."""


class Interval(NamedTuple):
    """A mean, its 95 % interval, and the number of units that were resampled."""

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
        ValueError: no value left, or an infinite one.
    """
    each, _, _ = _units(values, None, "values")
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
    """Holm's (1979) step-down correction: adjusted p-values (m,), in the order given; NaN stays."""
    values = _array(p, "p")
    adjusted = np.full(len(values), np.nan)
    there = np.flatnonzero(~np.isnan(values))
    order = there[np.argsort(values[there], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return adjusted


def bootstrap_mean(
    values: ArrayLike, n: int = 10_000, seed: int = 0, clusters: Sequence[Any] | None = None
) -> Interval:
    """Mean and 95 % interval, from the bootstrap's standard error and Student's t.

    The standard error is that of resampled units (Efron 1979), times √(n / (n - 1)) because a
    resample varies around its own mean. Student's t then allows for few units. Over six subjects
    plain percentiles cover 83 to 86 % where 95 % is said, and this 95 % of normal values, 89 % of
    exponential ones (simulated; see the tests).

    Args:
        values: (m,) numbers; NaN means "no value" and is left out.
        n: bootstrap resamples.
        seed: same seed, same interval.
        clusters: (m,) labels, for instance identities. Whole clusters are then resampled,
            because pictures of one person are not independent.

    Returns:
        ``(mean, low, high, n)``; ``n`` counts values, or clusters when given. With a single unit
        there is no interval: low and high are NaN.

    Raises:
        ValueError: no value left, an infinite one, or labels that do not match the values.
    """
    sums, counts, _ = _units(values, clusters, "values")
    return _interval((sums, counts), _ratio, n, seed)


def bootstrap_difference(
    a: ArrayLike,
    b: ArrayLike,
    paired: bool = True,
    clusters: Sequence[Any] | tuple[Sequence[Any], Sequence[Any]] | None = None,
    n: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean of ``a`` minus mean of ``b``, with its 95 % interval.

    Args:
        a, b: (m,) numbers each when paired (row by row, rows with a NaN left out); of any lengths
            otherwise.
        paired: resample differences, or each side by itself.
        clusters: labels of the rows when paired; otherwise a tuple of labels of ``a`` and of
            ``b``. Identities that occur on both sides are resampled together, disjoint ones
            independently.

    Returns:
        ``(mean, low, high, n)``; ``n`` is the number of resampled units (of the smaller side,
        when the sides are independent).

    Raises:
        ValueError: lengths that do not match, nothing left, or partly shared clusters.
    """
    if paired:
        a, b = _array(a, "a"), _array(b, "b")
        if a.shape != b.shape:
            raise ValueError(
                f"paired values need equal lengths, got {len(a)} and {len(b)}: "
                "match them row by row, or pass paired=False"
            )
        return bootstrap_mean(a - b, n, seed, clusters)
    if clusters is None:
        clusters = (None, None)
    if not isinstance(clusters, tuple) or len(clusters) != 2:
        raise ValueError("unpaired clusters must be a tuple: (labels of a, labels of b)")
    sums_a, counts_a, labels_a = _units(a, clusters[0], "a")
    sums_b, counts_b, labels_b = _units(b, clusters[1], "b")
    shared = set(labels_a) & set(labels_b)
    if not shared:
        return _two_sided((sums_a, counts_a), (sums_b, counts_b), n, seed)
    if len(shared) != len(labels_a) or len(shared) != len(labels_b):
        raise ValueError(
            f"{len(shared)} of {len(labels_a)} and {len(labels_b)} clusters occur on both sides: "
            "keep the same clusters on both, or none in common"
        )
    data = (sums_a, counts_a, sums_b, counts_b)
    return _interval(data, _ratio_difference, n, seed)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> Any:
    return np.sum(sums, axis=axis) / np.sum(counts, axis=axis)


def _ratio_difference(
    sums_a: np.ndarray,
    counts_a: np.ndarray,
    sums_b: np.ndarray,
    counts_b: np.ndarray,
    axis: int = -1,
) -> Any:
    return _ratio(sums_a, counts_a, axis) - _ratio(sums_b, counts_b, axis)


def _interval(data: Arrays, statistic: Callable[..., Any], n: int, seed: int) -> Interval:
    units, mean = len(data[0]), float(statistic(*data))
    if units < 2:
        return Interval(mean, float("nan"), float("nan"), units)
    spread = _error(data, statistic, n, np.random.default_rng(seed))
    return _around(mean, spread, units, units - 1)


def _two_sided(left: Side, right: Side, n: int, seed: int) -> Interval:
    """Two independent sides; degrees of freedom after Welch and Satterthwaite."""
    mean = float(_ratio(*left) - _ratio(*right))
    sizes = len(left[0]), len(right[0])
    if min(sizes) < 2:
        return Interval(mean, float("nan"), float("nan"), min(sizes))
    rng = np.random.default_rng(seed)
    parts = [_error(side, _ratio, n, rng) ** 2 for side in (left, right)]
    total = sum(parts)
    shares = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    freedom = total**2 / shares if shares else min(sizes) - 1
    return _around(mean, float(np.sqrt(total)), min(sizes), freedom)


def _error(data: Arrays, statistic: Callable[..., Any], n: int, rng: np.random.Generator) -> float:
    """Standard error of a statistic when whole units are resampled."""
    units = len(data[0])
    resampled = bootstrap(
        data,
        statistic,
        n_resamples=n,
        paired=True,
        vectorized=True,
        method="percentile",
        batch=max(1, BATCH_CELLS // units),
        rng=rng,
    )
    return float(resampled.bootstrap_distribution.std() * np.sqrt(units / (units - 1)))


def _around(mean: float, error: float, units: int, freedom: float) -> Interval:
    half = float(t.ppf(0.975, freedom)) * error
    return Interval(mean, mean - half, mean + half, units)


def _array(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected a list of numbers, got shape {array.shape}")
    return array


def _units(
    values: ArrayLike, clusters: Sequence[Any] | None, name: str
) -> tuple[np.ndarray, np.ndarray, Sequence[Any]]:
    """Sum and count of each resampled unit, and its label (no labels without clusters)."""
    array = _array(values, name)
    keep = ~np.isnan(array)
    if not keep.any():
        raise ValueError(f"{name}: expected at least one number, got {len(array)} missing values")
    if np.isinf(array[keep]).any():
        raise ValueError(f"{name}: expected finite numbers, got an infinite one: cap or drop it")
    if clusters is None:
        return array[keep], np.ones(int(keep.sum())), []
    labels = np.asarray(list(clusters))
    if labels.shape != array.shape:
        raise ValueError(f"{name}: {len(array)} values need as many clusters, got {labels.shape}")
    names, index = np.unique(labels[keep], return_inverse=True)
    sums = np.bincount(index, weights=array[keep])
    return sums, np.bincount(index).astype(np.float64), names.tolist()
