"""No purification: the baseline of every table."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..images import check_images
from .base import OnStep, register


@register("none")
@dataclass(frozen=True)
class Nothing:
    """Hand pictures back as they came, as a copy."""

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Copy (n, 3, H, W) float32 in [0, 1]."""
        return check_images(images).clone()

    def differentiable(self, images: Tensor) -> Tensor:
        """The same, with gradients."""
        return images
