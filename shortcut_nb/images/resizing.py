"""Pictures at another size: bicubic and anti-aliased."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Pictures (n, 3, H, W) at another (height, width), in [0, 1]; as they are at their own."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return interpolate(images, list(size), mode="bicubic", antialias=True).clamp(0, 1)


def enlarged(images: Tensor, least: int) -> Tensor:
    """Pictures (n, 3, H, W) whose shorter side is below ``least`` pixels, brought up to it."""
    short = min(images.shape[-2:])
    if short >= least:
        return images
    return resized(images, [round(side * least / short) for side in images.shape[-2:]])
