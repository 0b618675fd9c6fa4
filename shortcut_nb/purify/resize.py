"""Down and up again: what is finer than the smaller picture's pixels is lost."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import interpolate

from ..images import check_images
from .base import OnStep, register


@register("resize")
@dataclass(frozen=True)
class Resize:
    """Shrink by ``factor`` and enlarge to the old size, bicubic and antialiased; 1 is identity."""

    factor: float = 2.0

    def __post_init__(self) -> None:
        if not self.factor >= 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        check_images(images)
        if self.factor == 1:
            return images.clone()
        size = images.shape[-2:]
        small = [max(1, round(side / self.factor)) for side in size]
        less = interpolate(images, small, mode="bicubic", antialias=True)
        return interpolate(less, size, mode="bicubic", antialias=True).clamp(0, 1)
