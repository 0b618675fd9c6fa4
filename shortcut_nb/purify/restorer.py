"""A restoration network: what the paper's CodeFormer is to faces, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn import functional as F

from ..images import check_images
from .base import OnStep, by_batches, need, register, with_network


@register("restorer")
@dataclass(frozen=True)
class Restorer:
    """Subtract the degradation that a network finds in the whole picture.

    The network is a diffusers ``UNet2DModel`` that maps a degraded picture in [-1, 1] to its
    residual: ``clean = x - network(x, timestep=0).sample``. It stands where the paper (CodeSR)
    has CodeFormer.

    Args:
        strength: 0 is the identity, 1 the network's picture, in between a linear blend.
        network: the model; ``bind(lab)`` fetches it. No part of comparison or hashing.
        batch: pictures per forward pass.
    """

    roles: ClassVar[tuple[str, ...]] = ("purifier:restorer",)
    strength: float = 1.0
    network: Module | None = field(default=None, compare=False, repr=False)
    batch: int = field(default=16, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {self.strength}")

    def bind(self, lab: Any, class_name: str = "") -> Restorer:
        """A copy that holds ``lab.purifier_model("restorer")``."""
        return with_network(self, lab)

    @torch.no_grad()
    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1], of any size.

        Raises RuntimeError when no network has been bound.
        """
        check_images(images)
        if self.strength == 0:
            return images.clone()
        network = need(self.network, self.name)
        was_training = network.training
        network.eval()
        try:
            restored = by_batches(
                len(images), self.batch, lambda rows: self._restore(images[rows]), on_step
            )
        finally:
            network.train(was_training)
        return torch.lerp(images, restored, self.strength).clamp(0, 1)

    def differentiable(self, images: Tensor) -> Tensor:
        """The same map with gradients to the pictures, for attackers who know it."""
        need(self.network, self.name)
        return torch.lerp(images, self._restore(images), self.strength)

    def _restore(self, images: Tensor) -> Tensor:
        high, wide = images.shape[-2:]
        depth = len(self.network.config.block_out_channels) - 1
        unit = max(8, 2**depth)
        down, right = -high % unit, -wide % unit
        fits = down < high and right < wide
        weight = next(self.network.parameters())
        x = (images * 2 - 1).to(weight.device, weight.dtype)
        x = F.pad(x, (0, right, 0, down), mode="reflect" if fits else "replicate")
        clean = x - self.network(x, timestep=0).sample
        clean = (clean[..., :high, :wide].to(images.device, images.dtype) + 1) / 2
        return clean.clamp(0, 1)
