"""A restoration network: what the paper's CodeFormer is to faces, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor

from ..progress import OnStep
from ..settings import Count, Share
from .base import Purifier, by_batches, register
from .windows import at_once, in_windows, padded


@register("restorer")
@dataclass(frozen=True)
class Restorer(Purifier):
    """Subtract the degradation that a network finds in the whole picture.

    The network is a diffusers ``UNet2DModel`` that maps a degraded picture in [-1, 1] to its
    residual: ``clean = x - network(x, timestep=0).sample``. It stands where the paper (CodeSR)
    has CodeFormer.

    Args:
        strength: 0 is the identity, 1 the network's picture, in between a linear blend.
        batch: pictures per forward pass.
    """

    strength: Share = 1.0
    batch: Count = field(default=16, compare=False, repr=False)

    @property
    def roles(self) -> tuple[str, ...]:
        return ("purifier:restorer",)

    @torch.no_grad()
    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.strength == 0:
            return images.clone()
        network = models.purifier_model(self.name)
        restored = by_batches(
            len(images),
            at_once(self.batch, images),
            lambda rows: in_windows(partial(restore, network), images[rows]),
            on_step,
        )
        return torch.lerp(images, restored, self.strength).clamp(0, 1)

    def differentiable(self, images: Tensor, models: Any) -> Tensor:
        """The same map with gradients to the pictures, for attackers who know it."""
        network = models.purifier_model(self.name)
        return torch.lerp(images, restore(network, images), self.strength)


def restore(network: UNet2DModel, images: Tensor) -> Tensor:
    """What a network leaves of pictures (n, 3, H, W) in [0, 1] of any size; differentiable."""
    depth = len(network.config.block_out_channels) - 1
    weight = next(network.parameters())

    def subtract(pictures: Tensor) -> Tensor:
        return pictures - network(pictures, timestep=0).sample

    x = (images * 2 - 1).to(weight.device, weight.dtype)
    clean = padded(subtract, x, unit=max(8, 2**depth)).to(images.device, images.dtype)
    return ((clean + 1) / 2).clamp(0, 1)
