"""Embeddings in two dimensions, and whether the picture can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.spatial import procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

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
        ValueError: an unknown method, fewer than 4 points, a wrong rank, or values not finite.
    """
    points = _checked(embeddings)
    if method == "pca":
        return PCA(n_components=2, svd_solver="full").fit_transform(points)
    if method != "umap":
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    with warnings.catch_warnings(), torch_threads():
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


def stability(
    embeddings: ArrayLike,
    method: str = "umap",
    seeds: Sequence[int] = (0, 1, 2),
    neighbors: int = 15,
) -> pd.DataFrame:
    """How far a projection depends on its seed, one row per seed.

    ``trustworthiness`` in [0, 1] (Venna and Kaski 2001; cosine neighbours; 1: neighbours in the
    plane are true neighbours) and ``procrustes`` in [0, 1] (mean disparity to the other seeds
    after shift, scale, rotation and reflection; 0: the same picture).

    Raises:
        ValueError: as :func:`project`, or fewer than two seeds.
    """
    points = _checked(embeddings)
    if len(seeds) < 2:
        raise ValueError(f"stability needs at least two seeds, got {list(seeds)}")
    planes = [project(points, method, seed, neighbors) for seed in seeds]
    near = max(1, min(neighbors, (len(points) - 1) // 2))
    rows = []
    for i, (seed, plane) in enumerate(zip(seeds, planes, strict=True)):
        gaps = [procrustes(plane, other)[2] for j, other in enumerate(planes) if j != i]
        trust = trustworthiness(points, plane, n_neighbors=near, metric="cosine")
        rows.append({"seed": seed, "trustworthiness": trust, "procrustes": float(np.mean(gaps))})
    return pd.DataFrame(rows)


@contextmanager
def torch_threads() -> Iterator[None]:
    """Put torch's number of threads back, which numba's OpenMP takes with it (and so the bits)."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _checked(embeddings: ArrayLike) -> np.ndarray:
    points = np.asarray(embeddings, dtype=np.float64)
    if points.ndim != 2 or len(points) < SMALLEST or points.shape[1] < 2:
        raise ValueError(
            f"expected at least {SMALLEST} embeddings of 2 or more dimensions, (n, d), "
            f"got {points.shape}"
        )
    if not np.isfinite(points).all():
        raise ValueError("expected finite embeddings, got NaN or infinity")
    return points
