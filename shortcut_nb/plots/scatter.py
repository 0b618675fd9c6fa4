"""One number against another: every subject as a small point, every condition's mean by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import BboxBase
from numpy.typing import ArrayLike

from ..columns import check_columns
from .palette import Look, looks
from .style import theme


def scatter_plot(
    frame: pd.DataFrame,
    x: str,
    panels: Mapping[str, str],
    *,
    by: str = "kind",
    label: str = "condition",
    xlabel: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw columns against ``x``, one panel each; small points are rows, large ones means.

    Where names would cover each other, the ones farther from the middle are kept.

    Args:
        frame: one row per condition and subject; rows without a number are left out.
        panels: column to the panel's label of the vertical axis.
        by: column that gives colour and marker, at most eight values.
        label: column whose means are drawn and named.

    Raises:
        KeyError: a column that is not there. ValueError: no rows with numbers.
    """
    check_columns(frame, [x, *panels, by, label])
    style = looks(frame[by].tolist())
    with theme():
        fig = Figure((4.6 * len(panels), 4.2), layout="constrained")
        axes = fig.subplots(1, len(panels), squeeze=False)[0]
        for ax, (column, named) in zip(axes, panels.items(), strict=True):
            complete = frame.dropna(subset=[x, column])
            if not len(complete):
                raise ValueError(f"expected rows with both {x!r} and {column!r}, got none")
            for kind, part in complete.groupby(by, sort=False):
                look = style[str(kind)]
                means = part.groupby(label, sort=False)[[x, column]].mean()
                ax.scatter(part[x], part[column], c=look.color, s=9, alpha=0.3, linewidths=0)
                _points(ax, means.to_numpy(), look, 46, str(kind), zorder=3)
                _names(ax, means)
            ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
            ax.set(xlabel=xlabel or x, ylabel=named)
        axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        if title:
            fig.suptitle(title, fontsize=11)
        thin_out(fig)
    return fig


def planes_plot(
    planes: Mapping[str, ArrayLike], conditions: list[str], title: str | None = None
) -> Figure:
    """Several projections of the same points side by side, under one legend.

    Args:
        planes: the panel's title to (n, 2) points; see ``analysis.projection.project``.
        conditions: n names, at most eight different ones.

    Raises:
        ValueError: no planes, or points that do not match the conditions.
    """
    if not planes:
        raise ValueError("expected at least one projection, got none")
    style, names = looks(conditions), np.array(conditions)
    with theme():
        fig = Figure((3.4 * len(planes) + 1.6, 3.5), layout="constrained")
        axes = fig.subplots(1, len(planes), squeeze=False)[0]
        for ax, (named, points) in zip(axes, planes.items(), strict=True):
            points = np.asarray(points, dtype=np.float64)
            if points.shape != (len(names), 2):
                raise ValueError(f"expected ({len(names)}, 2) points, got {points.shape}")
            for condition, look in style.items():
                own = points[names == condition]
                _points(ax, own, look, 40, f"{condition} (n={len(own)})")
            ax.set(xticks=[], yticks=[])
            ax.set_title(named)
        axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
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


def _names(ax: Axes, means: pd.DataFrame) -> None:
    """The row's name beside each point."""
    for name, (across, up) in zip(means.index, means.to_numpy(), strict=True):
        ax.annotate(str(name), (across, up), (4, 3), textcoords="offset points", fontsize=7)


def thin_out(fig: Figure) -> None:
    """Take away names that would cover others, those nearest the middle of their panel first."""
    fig.draw_without_rendering()
    for ax in fig.axes:
        boxes = [(text, text.get_window_extent()) for text in list(ax.texts)]
        if not boxes:
            continue
        centres = np.array([((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for _, box in boxes])
        far = np.linalg.norm(centres - np.median(centres, axis=0), axis=1)
        kept: list[BboxBase] = []
        for place in np.argsort(-far):
            text, box = boxes[place]
            if box.padded(1).count_overlaps(kept):
                text.remove()
            else:
                kept.append(box)
