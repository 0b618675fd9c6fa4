"""Projections of embeddings to two dimensions, by UMAP or PCA."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from ..errors import UserError
from ..machine.threads import threads_put_back

METHODS = ("umap", "pca")
SMALLEST = 4


def project(
    embeddings: ArrayLike,
    method: str = "umap",
    seed: int = 0,
    neighbors: int = 15,
    min_dist: float = 0.1,
) -> np.ndarray:
    """Project (n, d) embeddings to (n, 2) float64.

    Args:
        method: ``"umap"`` (McInnes et al. 2018, cosine metric) or ``"pca"``.
        seed: fixes UMAP to the bit on one machine (it then runs on one thread).
        neighbors, min_dist: UMAP's; ``neighbors`` is cut to n - 1, and with few points UMAP
            starts from PCA, since its spectral start needs more.

    Raises:
        UserError: an unknown method, fewer than 4 points, a wrong rank, or values not finite.
    """
    points = _checked(embeddings)
    if method == "pca":
        return PCA(n_components=2, svd_solver="full").fit_transform(points)
    if method != "umap":
        raise UserError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    with warnings.catch_warnings(), threads_put_back():  # numba's OpenMP takes torch's along
        warnings.simplefilter("ignore")  # n_jobs is forced to 1 by a seed, as documented
        from umap import UMAP  # compiles for seconds: only when asked for

        reducer = UMAP(
            n_components=2,
            n_neighbors=min(neighbors, len(points) - 1),
            min_dist=min_dist,
            metric="cosine",
            init="pca" if len(points) < 4 * neighbors else "spectral",
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(points), dtype=np.float64)


def _checked(embeddings: ArrayLike) -> np.ndarray:
    points = np.asarray(embeddings, dtype=np.float64)
    if points.ndim != 2 or len(points) < SMALLEST or points.shape[1] < 2:
        raise UserError(
            f"expected at least {SMALLEST} embeddings of 2 or more dimensions, (n, d), "
            f"got {points.shape}"
        )
    if not np.isfinite(points).all():
        raise UserError("expected finite embeddings, got NaN or infinity")
    return points
