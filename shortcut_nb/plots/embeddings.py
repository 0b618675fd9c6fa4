"""Embeddings in the plane, by condition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .palette import looks
from .style import theme


def projection_plot(
    points: ArrayLike,
    conditions: Sequence[str],
    title: str | None = None,
    axis_name: str = "UMAP",
    links: Sequence[tuple[int, int]] = (),
) -> Figure:
    """Scatter (n, 2) points, one colour and marker per condition.

    Args:
        points: from :func:`shortcut_nb.analysis.projection.project`.
        conditions: n names; the legend keeps their order of first mention.
        title: above the plot.
        axis_name: "UMAP" or "PCA".
        links: pairs of rows to join by a thin grey line (a picture before and after).

    Raises:
        ValueError: shapes that do not match, or more than eight conditions.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(conditions):
        raise ValueError(
            f"expected (n, 2) points and n conditions, got {points.shape} and {len(conditions)}"
        )
    with theme():
        fig = Figure((6, 4.5), layout="constrained")
        ax = fig.subplots()
        for start, end in links:
            ax.plot(*points[[start, end]].T, color="0.8", linewidth=0.7, zorder=1)
        for name, look in looks(conditions).items():
            own = points[np.array([condition == name for condition in conditions])]
            ax.scatter(
                own[:, 0],
                own[:, 1],
                c=look.color,
                marker=look.marker,
                label=f"{name} (n={len(own)})",
                s=42,
                edgecolors="white",
                linewidths=0.5,
                zorder=2,
            )
        ax.set(xlabel=f"{axis_name} 1", ylabel=f"{axis_name} 2", xticks=[], yticks=[])
        if title:
            ax.set_title(title)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
