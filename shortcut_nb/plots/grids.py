"""Rows of pictures with labels, and perturbations made visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from ..errors import UserError
from ..images import check_images
from .style import theme

GAIN = 4  # a change of 32/255 just reaches black and white


def image_rows(
    rows: Mapping[str, Tensor],
    columns: Sequence[str] | None = None,
    title: str | None = None,
    cell: float = 1.2,
    widest: int | None = None,
) -> Figure:
    """Draw one labelled row of pictures per entry.

    Args:
        rows: label to (n, 3, H, W) float32 in [0, 1]; n may differ from row to row.
        columns: headings, one per column, or None.
        title: above all rows.
        cell: side of a picture in inches.
        widest: at most so many pictures per row.

    Raises:
        UserError: no rows, bad pictures, or headings that do not match the columns.
    """
    if not rows:
        raise UserError("expected at least one row of pictures, got none")
    for label, images in rows.items():
        check_images(images, name=f"row {label!r}")
    wide = min(max(len(images) for images in rows.values()), widest or 10_000)
    if columns is not None and len(columns) != wide:
        raise UserError(f"expected {wide} column headings, got {len(columns)}: {list(columns)}")
    with theme():
        margin = 0.1 * max(len(line) for label in rows for line in label.split("\n")) + 0.2
        # Labels and title are to be read whole.
        width = max(wide * cell + margin, 0.09 * len(title or ""))
        top = 0.3 * (columns is not None) + 0.35 * (title is not None)
        pads = ConstrainedLayoutEngine(
            compress=True, w_pad=0.02, h_pad=0.01, wspace=0.0, hspace=0.01
        )
        fig = Figure((width, len(rows) * cell + top), layout=pads)
        axes = fig.subplots(len(rows), wide, squeeze=False)
        for line, (label, images) in zip(axes, rows.items(), strict=True):
            for i, ax in enumerate(line):
                bare(ax)
                if i < len(images):
                    ax.imshow(to_hwc(images[i]), interpolation="nearest")
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for ax, heading in zip(axes[0], columns or (), strict=False):
            ax.set_title(heading, fontsize=9)
        if title:
            fig.suptitle(title, fontsize=11)
    return fig


def perturbation_row(clean: Tensor, protected: Tensor, gain: float = GAIN) -> dict[str, Tensor]:
    """The difference of two batches as one more row for :func:`image_rows`.

    Grey is "no change"; the difference is multiplied by ``gain`` and clipped, and the label says
    so. Raises UserError when the batches differ in shape.
    """
    check_images(clean, name="clean")
    check_images(protected, name="protected")
    if clean.shape != protected.shape:
        raise UserError(
            f"expected pictures of the same shape, got {tuple(clean.shape)} "
            f"and {tuple(protected.shape)}"
        )
    difference = torch.clamp(0.5 + gain * (protected.detach() - clean.detach()), 0, 1)
    return {f"difference ×{gain:g}": difference}


def to_hwc(image: Tensor) -> np.ndarray:
    """A picture (3, H, W) as matplotlib takes it: (H, W, 3) in [0, 1]."""
    return image.detach().cpu().permute(1, 2, 0).clamp(0, 1).numpy()


def bare(ax: Axes) -> None:
    """No ticks, no frame; the label stays, which ``axis("off")`` would hide."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
