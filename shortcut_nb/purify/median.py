"""Median filter: removes isolated outliers and keeps edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.ndimage import median_filter
from torch import Tensor

from ..images import check_images
from .base import OnStep, register


@register("median")
@dataclass(frozen=True)
class Median:
    """The median of a ``size`` × ``size`` window, each channel by itself (Xu et al. 2018).

    A size of 1 is the identity; borders reflect.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise ValueError(f"size must be odd and at least 1 pixel, got {self.size}")

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        pixels = check_images(images).cpu().numpy()
        out = median_filter(pixels, size=(1, 1, self.size, self.size), mode="reflect")
        return torch.from_numpy(out).to(images.device)
