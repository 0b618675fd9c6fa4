"""Bit-depth reduction: fewer grey levels than the perturbation needs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..images import check_images
from .base import OnStep, register


@register("quantise")
@dataclass(frozen=True)
class Quantise:
    """Round each value to ``bits`` bits (Xu et al. 2018); 8 leaves an 8-bit picture as it is."""

    bits: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"bits must be in 1..8, got {self.bits}")

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        levels = 2**self.bits - 1
        return (check_images(images) * levels).round() / levels
