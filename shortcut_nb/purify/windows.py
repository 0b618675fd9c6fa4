"""Networks on pictures of any size: padding, and overlapping windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..diffusion import Diffusion
from ..errors import UserError

WINDOW = 768
"""Side of the windows of networks that take any size, in pixels; smaller pictures are whole."""
OVERLAP = 64
"""What neighbouring windows share, in pixels."""


def padded(work: Callable[[Tensor], Tensor], images: Tensor, unit: int, least: int = 0) -> Tensor:
    """Apply ``work`` to pictures (n, 3, H, W) padded to multiples of ``unit``; crop the result.

    Args:
        least: the smallest side that ``work`` can take, in pixels.
    """
    high, wide = images.shape[-2:]
    down = max(-(-high // unit) * unit, least) - high
    right = max(-(-wide // unit) * unit, least) - wide
    mode = "reflect" if down < high and right < wide else "replicate"
    x = pad(images, (0, right, 0, down), mode=mode) if down or right else images
    return work(x)[..., :high, :wide]


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin so that they cover ``length``: every stride, and one at the far edge.

    Raises:
        ValueError: when the length is smaller than a window.
    """
    if length < window:
        raise UserError(f"a side of {length} pixels is smaller than the window of {window}")
    offsets = list(range(0, length - window + 1, stride))
    return offsets if offsets[-1] == length - window else [*offsets, length - window]


def boxes(high: int, wide: int, window: int, stride: int) -> list[tuple[int, int]]:
    """The (top, left) corners of all windows."""
    return [
        (top, left) for top in starts(high, window, stride) for left in starts(wide, window, stride)
    ]


def shares(high: int, wide: int, window: int, stride: int) -> Tensor:
    """How much each of the windows that cover a pixel counts there, (high, wide)."""
    count = torch.zeros(high, wide)
    for top, left in boxes(high, wide, window, stride):
        count[top : top + window, left : left + window] += 1
    return 1 / count


def window_of(model: Diffusion) -> int:
    """Side of the windows of a text-to-image model: at least that of the pictures it draws."""
    return max(WINDOW, model.resolution)


def at_once(batch: int, images: Tensor, window: int | None = None) -> int:
    """Pictures in a pass: ``batch``, or one where pictures are so large that windows are used."""
    return batch if max(images.shape[-2:]) <= (window or WINDOW) else 1


def in_windows(
    work: Callable[[Tensor], Tensor], images: Tensor, window: int | None = None
) -> Tensor:
    """Apply ``work`` to overlapping windows, one at a time, so that memory does not grow.

    They fade into each other over :data:`OVERLAP` pixels. Pictures whose sides are at most a
    window's are given to ``work`` whole.

    Args:
        work: from pictures (n, 3, h, w) that fit in a window to as many of that size.
        images: (n, 3, H, W).
        window: side of the windows, in pixels; None is :data:`WINDOW`.
    """
    window, (high, wide) = window or WINDOW, images.shape[-2:]
    if high <= window and wide <= window:
        return work(images)
    tall, broad = min(window, high), min(window, wide)
    total, weights = torch.zeros_like(images), torch.zeros(high, wide)
    for top in starts(high, tall, max(1, tall - OVERLAP)):
        for left in starts(wide, broad, max(1, broad - OVERLAP)):
            rows, columns = slice(top, top + tall), slice(left, left + broad)
            fade = torch.outer(_ramp(top, tall, high), _ramp(left, broad, wide))
            done = work(images[..., rows, columns]).to(images)
            total[..., rows, columns] += done * fade.to(images)
            weights[rows, columns] += fade
    return total / weights.to(images)


def _ramp(start: int, window: int, length: int) -> Tensor:
    """Weights along a side: they rise and fall over the overlap, but not at a picture's edge."""
    along = torch.arange(window, dtype=torch.float32) + 1
    rise = along if start > 0 else torch.full_like(along, float("inf"))
    fall = along.flip(0) if start + window < length else torch.full_like(along, float("inf"))
    return torch.minimum(rise, fall).clamp(max=OVERLAP + 1) / (OVERLAP + 1)
