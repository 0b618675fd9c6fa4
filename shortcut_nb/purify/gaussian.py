"""Gaussian blur: the bluntest low-pass filter."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from ..images import check_images
from .base import OnStep, register


@register("gaussian")
@dataclass(frozen=True)
class Gaussian:
    """Blur by a Gaussian of standard deviation ``sigma`` pixels; 0 is the identity.

    DiffShortcut's "gau" has sigma 5 at 512 pixels (its "kernel size" is Pillow's radius), which
    is 0.6 at 64 pixels. The kernel reaches four sigma, cut to the picture; borders reflect.
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not self.sigma >= 0:
            raise ValueError(f"sigma must be 0 or more pixels, got {self.sigma}")

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        check_images(images)
        if self.sigma == 0:
            return images.clone()
        reach = min(max(1, round(4 * self.sigma)), min(images.shape[-2:]) - 1)
        return gaussian_blur(images, [2 * reach + 1] * 2, [self.sigma] * 2).clamp(0, 1)
