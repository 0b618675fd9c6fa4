"""Run a filter over a large picture piece by piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from ..images import from_pixels, to_pixels

TILE = 1024
MARGIN = 64
GRID = 16
"""Both are multiples of this, so that JPEG's blocks lie as they do in the whole picture."""


def in_tiles(
    pixels: np.ndarray,
    work: Callable[[Tensor], Tensor],
    tile: int = TILE,
    margin: int | None = MARGIN,
) -> np.ndarray:
    """A picture after a filter whose result depends on pixels near by alone.

    Args:
        pixels: (height, width, 3) uint8.
        work: maps (1, 3, h, w) float32 in [0, 1] to the same shape.
        tile: side of the pieces; memory grows with it and not with the picture.
        margin: what each piece sees around it, at least; None: everything, so in one piece.

    Returns:
        (height, width, 3) uint8.
    """
    high, wide = pixels.shape[:2]
    if margin is None:
        tile, margin = max(high, wide), 0
    margin = -(-margin // GRID) * GRID
    result = np.empty_like(pixels)
    for top in range(0, high, tile):
        for left in range(0, wide, tile):
            bottom, right = min(top + tile, high), min(left + tile, wide)
            upper, first = max(top - margin, 0), max(left - margin, 0)
            lower, last = min(bottom + margin, high), min(right + margin, wide)
            after = to_pixels(work(from_pixels(pixels[None, upper:lower, first:last])))[0]
            inner = after[top - upper : bottom - upper, left - first : right - first]
            result[top:bottom, left:right] = inner
    return result
