"""Rank correlations, also at equal size, with intervals that resample whole subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap, norm, t

FEWEST = 4
BATCH = 500


class Correlation(NamedTuple):
    """A correlation in [-1, 1], its 95 % interval, rows and clusters."""

    value: float
    low: float
    high: float
    n: int
    clusters: int


def rank_correlation(
    x: ArrayLike, y: ArrayLike, clusters: Sequence, given: ArrayLike | None = None,
    resamples: int = 4000, seed: int = 0,
) -> Correlation:  # fmt: skip
    """Spearman's rank correlation, or the partial one given a third variable.

    Partial means: of the ranks, after the rank of ``given`` has been regressed out of both.

    Args:
        x, y, given: (m,) numbers; a row with a NaN in any is left out.
        clusters: (m,) labels, such as subjects; whole clusters are resampled.
        resamples: of the bootstrap; 0 gives the value alone.

    Returns:
        The correlation with an expanded percentile interval (Hesterberg 2015, "What teachers should
        know about the bootstrap", 5.3): with few clusters a plain one is too narrow. With one
        cluster, low and high are NaN; all are, when ``given`` orders the rows just as x or y does.
        What is not resampled (the attacks, say) counts as given:
        the interval says nothing about others.

    Raises:
        ValueError: lengths that differ, fewer than four rows, or a variable that is constant.
    """
    columns = [np.asarray(v, dtype=np.float64) for v in (x, y, *([] if given is None else [given]))]
    labels = np.asarray(list(clusters))
    if any(v.shape != labels.shape for v in columns) or labels.ndim != 1:
        raise ValueError(
            f"expected as many values as clusters, got {[len(v) for v in columns]}, {len(labels)}"
        )
    keep = ~np.isnan(columns).any(axis=0)
    columns, labels = [v[keep] for v in columns], labels[keep]
    if len(labels) < FEWEST:
        raise ValueError(f"a rank correlation needs at least {FEWEST} rows, got {len(labels)}")
    if any(np.ptp(v) == 0 for v in columns):
        raise ValueError("expected variables that vary, got a constant one: leave it out")
    names, place = np.unique(labels, return_inverse=True)

    def statistic(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        counts = (drawn[..., None] == np.arange(len(names))).sum(axis=-2)
        return _weighted(columns, counts[..., place].astype(np.float64))

    every = np.arange(len(names))
    value = float(statistic(every[None])[0])
    if len(names) < 2 or not resamples:
        return Correlation(value, float("nan"), float("nan"), len(labels), len(names))
    found = bootstrap(
        (every,), statistic, n_resamples=resamples, vectorized=True, method="percentile",
        batch=BATCH, confidence_level=_expanded(len(names)), rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Correlation(value, float(found.low), float(found.high), len(labels), len(names))


def _expanded(units: int, level: float = 0.95) -> float:
    """The level whose percentile interval has, for a mean, the width of Student's t interval."""
    wide = np.sqrt(units / (units - 1)) * t.ppf((1 + level) / 2, units - 1)
    return float(2 * norm.cdf(wide) - 1)


def _weighted(columns: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """(Partial) rank correlation of rows that count several times; weights (b, m) give (b,)."""
    ranks = np.stack([_ranks(column, weights) for column in columns], axis=-1)
    total = weights.sum(axis=-1)[..., None]
    centred = ranks - ((weights[..., None] * ranks).sum(axis=-2) / total)[..., None, :]
    covariance = np.einsum("bm,bmi,bmj->bij", weights, centred, centred)
    xy, xx, yy = (covariance[:, i, j] for i, j in ((0, 1), (0, 0), (1, 1)))
    nothing = 1e-9 * np.minimum(xx, yy)
    with np.errstate(invalid="ignore", divide="ignore"):
        if len(columns) == 3:
            xz, yz, zz = (covariance[:, i, j] for i, j in ((0, 2), (1, 2), (2, 2)))
            xy, xx, yy = xy - xz * yz / zz, xx - xz**2 / zz, yy - yz**2 / zz
        found = np.clip(xy / np.sqrt(xx * yy), -1, 1)
    return np.where(np.minimum(xx, yy) > nothing, found, np.nan)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mid-ranks, up to a constant, of a sample in which row i occurs weights[b, i] times."""
    levels, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(len(levels)))
    mass = np.add.reduceat(weights[:, order], first, axis=1)
    return (mass.cumsum(axis=-1) - mass / 2)[:, place]
