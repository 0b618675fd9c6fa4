"""Projections of points, several side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..errors import UserError
from .layout import LEGEND, PAGE_WIDTH, legend_of
from .palette import GREY, Look, looks
from .style import theme


def planes_plot(
    planes: Mapping[str, ArrayLike],
    conditions: list[str],
    title: str | None = None,
    landmarks: Collection[str] = (),
) -> Figure:
    """Several projections of the same points side by side, under one legend.

    Args:
        planes: the panel's title to (n, 2) points; see ``analysis.projection.project``.
        conditions: n names, at most eight different ones.
        landmarks: those of them that are there to find the way by, drawn in grey.

    Raises:
        UserError: no planes, or points that do not match the conditions.
    """
    if not planes:
        raise UserError("expected at least one projection, got none")
    style, names = looks(conditions), np.array(conditions)
    style |= {name: style[name]._replace(color=GREY) for name in landmarks}
    with theme():
        fig = Figure((PAGE_WIDTH, PAGE_WIDTH / len(planes) + 1.1), layout="constrained")
        axes = fig.subplots(1, len(planes), squeeze=False)[0]
        for ax, (panel, points) in zip(axes, planes.items(), strict=True):
            points = np.asarray(points, dtype=np.float64)
            if points.shape != (len(names), 2):
                raise UserError(f"expected ({len(names)}, 2) points, got {points.shape}")
            for condition, look in style.items():
                own = points[names == condition]
                above = 1 if condition in landmarks else 2
                _points(ax, own, look, 40, f"{condition} (n={len(own)})", zorder=above)
            ax.set(xticks=[], yticks=[])
            ax.set_title(panel)
        handles = legend_of(axes)
        fig.legend(handles.values(), handles, loc="outside lower center", ncols=4, **LEGEND)
        if title:
            fig.suptitle(title, fontsize=11)
    return fig


def _points(
    ax: Axes, points: np.ndarray, look: Look, size: float, label: str, zorder: float = 1
) -> None:
    """Points (n, 2) of one look, with a white rim."""
    across, up = points.T
    ax.scatter(
        across,
        up,
        c=look.color,
        marker=look.marker,
        s=size,
        label=label,
        edgecolors="white",
        linewidths=0.5,
        zorder=zorder,
    )
