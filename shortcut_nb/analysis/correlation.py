"""Rank correlations, also at equal size, with intervals that resample whole subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from ..errors import UserError

FEWEST = 4
USABLE = 0.9


class Correlation(NamedTuple):
    """A correlation in [-1, 1], its 95 % interval, rows and clusters."""

    value: float
    low: float
    high: float
    n: int
    clusters: int


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    clusters: Sequence[Any],
    given: ArrayLike | None = None,
    resamples: int = 4000,
    seed: int = 0,
) -> Correlation:
    """Spearman's rank correlation, or the partial one given a third variable.

    Partial means: of the ranks, after the rank of ``given`` has been regressed out of both.

    Args:
        x, y, given: (m,) numbers; a row with a NaN in any is left out.
        clusters: (m,) labels, such as subjects; whole clusters are resampled.
        resamples: of the bootstrap; 0 gives the value alone.

    Returns:
        The correlation, and as its interval: Fisher's z, plus and minus Student's t times the
        standard error from resampling whole clusters. With few clusters percentile intervals are
        too narrow. In simulations like those of the tests (600 each) a nominal 95 % covered, with
        6 clusters, 82 to 86 % by plain percentiles and 93 to 95 % by this; with 12, 89 to 90 % and
        94 %. What is not resampled (the attacks, say) counts as given: the interval says nothing
        about others.

        Low and high are NaN with one cluster, or when more than a tenth of the resamples have no
        correlation or a perfect one; all are NaN when ``given`` orders the rows as x or y does.

    Raises:
        UserError: lengths that differ, fewer than four rows, or a variable that is constant.
    """
    columns = [np.asarray(v, dtype=np.float64) for v in (x, y, *([] if given is None else [given]))]
    labels = np.asarray(list(clusters))
    if any(v.shape != labels.shape for v in columns) or labels.ndim != 1:
        raise UserError(
            f"expected as many values as clusters, got {[len(v) for v in columns]}, {len(labels)}"
        )
    keep = ~np.isnan(columns).any(axis=0)
    columns, labels = [v[keep] for v in columns], labels[keep]
    if len(labels) < FEWEST:
        raise UserError(f"a rank correlation needs at least {FEWEST} rows, got {len(labels)}")
    if any(np.ptp(v) == 0 for v in columns):
        raise UserError("expected variables that vary, got a constant one: leave it out")
    names, place = np.unique(labels, return_inverse=True)

    value = float(weighted_correlations(columns, np.ones((1, len(labels))))[0])
    low, high = _ends(columns, place, value, resamples, seed) if resamples else (np.nan, np.nan)
    return Correlation(value, float(low), float(high), len(labels), len(names))


def _ends(
    columns: list[np.ndarray], place: np.ndarray, value: float, resamples: int, seed: int
) -> tuple[float, float]:
    """The ends of the 95 % interval; place[i] is the number of row i's cluster."""
    units = int(place.max()) + 1
    if units < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(units, np.full(units, 1 / units), resamples).astype(np.float64)
    drawn = weighted_correlations(columns, counts[:, place])
    drawn = drawn[np.abs(drawn) < 1]  # neither NaN nor perfect, where z is infinite
    if len(drawn) < USABLE * resamples or abs(value) >= 1:
        return np.nan, np.nan
    wide = np.sqrt(units / (units - 1)) * np.arctanh(drawn).std() * t.ppf(0.975, units - 1)
    return np.tanh(np.arctanh(value) - wide), np.tanh(np.arctanh(value) + wide)


def weighted_correlations(columns: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Rank correlations, or partial ones, of rows that count several times.

    Args:
        columns: (m,) each: x, y and, for partial ones, what is given.
        weights: (b, m), how often each row counts.

    Returns:
        (b,), a correlation for each row of weights; NaN where there is none.
    """
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
        correlations = np.clip(xy / np.sqrt(xx * yy), -1, 1)
    return np.where(np.minimum(xx, yy) > nothing, correlations, np.nan)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mid-ranks, up to a constant, of a sample in which row i occurs weights[b, i] times."""
    levels, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(len(levels)))
    mass = np.add.reduceat(weights[:, order], first, axis=1)
    return (mass.cumsum(axis=-1) - mass / 2)[:, place]
