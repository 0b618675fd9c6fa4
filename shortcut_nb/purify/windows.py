"""Fixed-size networks on pictures of any size: padding, and overlapping windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad


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
        raise ValueError(f"a side of {length} pixels is smaller than the window of {window}")
    found = list(range(0, length - window + 1, stride))
    return found if found[-1] == length - window else [*found, length - window]


def boxes(high: int, wide: int, window: int, stride: int) -> list[tuple[int, int]]:
    """The (top, left) corners of all windows."""
    return [(top, left) for top in starts(high, window, stride)
            for left in starts(wide, window, stride)]  # fmt: skip


def overlap(high: int, wide: int, window: int, stride: int) -> Tensor:
    """How much each window counts at each pixel, (k, high, wide); sums to one over windows."""
    places = boxes(high, wide, window, stride)
    weight = torch.zeros(len(places), high, wide)
    for i, (top, left) in enumerate(places):
        weight[i, top : top + window, left : left + window] = 1
    return weight / weight.sum(0)
