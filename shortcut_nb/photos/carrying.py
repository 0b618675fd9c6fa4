"""Carry a change from the squares that a model sees to a photo's own pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..budget import Budget
from .photo import Photo

STRIP = 256
"""Rows that are worked on at once: memory does not grow with the photo's height."""


def carry(
    photo: Photo, change: Tensor, budget: Budget | None = None, strip: int = STRIP
) -> np.ndarray:
    """The photo with a change of its squares carried to its own pixels.

    The change is enlarged (bicubic) to each square's size in the photo, blended where squares
    overlap, rounded to whole grey levels, cut to the budget, added, and cut to 0 to 255. Enlarging
    makes a perturbation coarser: it keeps its budget, and the model's view of it.

    Args:
        change: (k, 3, side, side), new minus old, in [-1, 1], one for each of the photo's squares.
        budget: no grey level changes by more; None for no limit (a purifier).

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: another number of changes than squares.
    """
    if len(change) != len(photo.squares):
        raise ValueError(f"expected {len(photo.squares)} changes, one a square; got {len(change)}")
    result = photo.pixels()
    levels = change.detach().float().cpu() * 255
    for top in range(0, len(result), strip):
        rows = slice(top, min(top + strip, len(result)))
        delta = _blended(photo, levels, rows)
        if budget is not None:
            delta = delta.clip(-budget.pixels, budget.pixels)
        result[rows] = (result[rows].astype(np.int16) + delta).clip(0, 255).astype(np.uint8)
    return result


def _blended(photo: Photo, change: Tensor, rows: slice) -> np.ndarray:
    """The change of some rows of the photo in whole grey levels, (rows, width, 3) int16."""
    total = np.zeros((rows.stop - rows.start, photo.size[0], 3), np.float32)
    weight = np.zeros((*total.shape[:2], 1), np.float32)
    for (left, top, edge), one in zip(photo.squares, change, strict=True):
        first, last = max(rows.start, top), min(rows.stop, top + edge)
        if first >= last:
            continue
        where = (slice(first - rows.start, last - rows.start), slice(left, left + edge))
        counts = _importance(edge, first - top, last - top)
        total[where] += _enlarged(one, edge, first - top, last - top) * counts
        weight[where] += counts
    return np.rint(total / weight).astype(np.int16)


def _enlarged(one: Tensor, edge: int, first: int, last: int) -> np.ndarray:
    """Rows first to last of a change (3, side, side) resized to (edge, edge): (rows, edge, 3)."""
    if one.shape[-1] == edge:
        return one[:, first:last].permute(1, 2, 0).numpy()
    side = one.shape[-1]
    broad = interpolate(one[None], (side, edge), mode="bicubic", antialias=True)[0]
    # Resizing columns is a matrix; of it, these rows alone are worked out.
    unit = torch.eye(side)[None, None]
    matrix = interpolate(unit, (edge, side), mode="bicubic", antialias=True)[0, 0, first:last]
    return torch.einsum("rs,csw->rwc", matrix, broad).numpy()


def _importance(edge: int, first: int, last: int) -> np.ndarray:
    """How much a square counts at its rows first to last, (rows, edge, 1): least at its border."""
    ramp = 1 - np.abs((np.arange(edge) + 0.5) / edge * 2 - 1) + 1e-3
    return np.minimum(ramp[first:last, None], ramp[None])[..., None].astype(np.float32)
