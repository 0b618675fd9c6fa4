"""How much of an effect goes through each of several mediators: a linear path analysis.

X changes mediators M₁ … M_k and the outcome Y. With ordinary least squares on the same rows,

    M_j = … + a_j X,    Y = … + c' X + Σ b_j M_j,    Y = … + c X,

the total effect is exactly the direct one and the indirect ones together: c = c' + Σ a_j b_j
(Baron & Kenny 1986; for several mediators Preacher & Hayes 2008). Each row's cluster (a person) has
its own intercept, so that only differences within people count.

It describes; it does not prove. That b_j is causal takes that nothing else moves M_j and Y, which
no measurement over a few attacks can promise; and a mediator that attacks climb by design looks
more like a cause than one that they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t

from ..errors import UserError

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Mediation:
    """Effects of X on Y, in Y's unit for one unit of X.

    Attributes:
        table: a row for "total", "direct" and each mediator: ``path, effect, low, high, share``.
            The interval is 95 %, Student's t times the standard error from resampling clusters;
            NaN with one cluster. ``share`` is the effect over the total.
        rows, clusters: how many of each.
    """

    table: pd.DataFrame
    rows: int
    clusters: int

    def __getitem__(self, path: str) -> float:
        """The effect along a path."""
        return float(self.table.set_index("path")["effect"][path])


def mediation(
    x: ArrayLike,
    mediators: Mapping[str, ArrayLike],
    y: ArrayLike,
    clusters: Sequence[Any],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Mediation:
    """Split the effect of x on y into what goes through each mediator and the rest.

    Args:
        x, y: (m,) numbers; mediators: (m,) numbers each, by name. Rows with a NaN are left out.
        clusters: (m,) labels, such as people; each has its own intercept, whole ones are resampled.
        resamples: of the bootstrap; 0 gives no intervals.

    Raises:
        UserError: no mediators, lengths that differ, too few rows, an x that does not vary within
            clusters, or mediators that cannot be told apart.
    """
    if not mediators:
        raise UserError("expected at least one mediator, got none")
    columns = [np.asarray(each, dtype=np.float64) for each in (x, *mediators.values(), y)]
    labels = np.asarray(list(clusters))
    if any(column.shape != labels.shape for column in columns) or labels.ndim != 1:
        sizes = [len(column) for column in columns]
        raise UserError(f"expected as many values as clusters; got {sizes} and {len(labels)}")
    data = np.stack(columns, axis=1)
    keep = ~np.isnan(data).any(axis=1)
    data, names = data[keep], pd.unique(labels[keep])
    parts = [_centred(data[labels[keep] == name]) for name in names]
    if len(data) < len(names) + len(mediators) + 2:
        raise UserError(f"{len(data)} rows of {len(names)} clusters are too few for a mediation")
    effects = _effects(np.concatenate(parts))
    if effects is None:
        raise UserError("x does not vary within clusters, or a mediator follows from the others")
    ends = _half_widths(parts, resamples, seed) if resamples and len(names) > 1 else np.nan
    table = pd.DataFrame(
        {
            "path": ["total", "direct", *mediators],
            "effect": effects,
            "low": effects - ends,
            "high": effects + ends,
            "share": effects / effects[0],
        }
    )
    return Mediation(table, len(data), len(names))


def _centred(rows: np.ndarray) -> np.ndarray:
    """Rows of one cluster about its own mean: its intercept, taken out."""
    return rows - rows.mean(axis=0)


def _effects(data: np.ndarray) -> np.ndarray | None:
    """Total, direct and indirect effects of columns x, mediators, y; None where undetermined."""
    x, middle, y = data[:, :1], data[:, 1:-1], data[:, -1]
    design = np.concatenate([x, middle], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    slopes = np.linalg.lstsq(design, y, rcond=None)[0]
    moved = np.linalg.lstsq(x, np.column_stack([middle, y]), rcond=None)[0][0]
    return np.array([moved[-1], slopes[0], *(moved[:-1] * slopes[1:])])


def _half_widths(parts: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Half of each interval: whole clusters are drawn with replacement."""
    rng, units = np.random.default_rng(seed), len(parts)
    drawn = []
    for _ in range(resamples):
        chosen = rng.integers(units, size=units)
        effects = _effects(np.concatenate([parts[i] for i in chosen]))
        if effects is not None:
            drawn.append(effects)
    error = np.std(drawn, axis=0) * np.sqrt(units / (units - 1))
    return t.ppf(0.975, units - 1) * error
