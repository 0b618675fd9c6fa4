"""VAE round trip: what the latent space cannot hold is gone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..diffusion import Diffusion
from ..images import check_images
from .base import OnStep, need, register
from .windows import padded


@register("vae")
@dataclass(frozen=True)
class VaeRoundTrip:
    """Encode and decode with the profile's autoencoder, at the posterior mean.

    Args:
        strength: 0 is the identity, 1 the decoded picture, in between a linear blend.
    """

    roles: ClassVar[tuple[str, ...]] = ("diffusion",)
    strength: float = 1.0
    model: Diffusion | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {self.strength}")

    def bind(self, lab: Any, class_name: str = "") -> VaeRoundTrip:
        """A copy that holds ``lab.diffusion``."""
        return replace(self, model=lab.diffusion)

    @torch.no_grad()
    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        check_images(images)
        if self.strength == 0:
            return images.clone()
        model = need(self.model, self.name)

        def round_trip(x: Tensor) -> Tensor:
            return torch.cat([model.decode(model.posterior(part)[0]) for part in x.split(16)])

        drawn = padded(round_trip, images, model.latent_unit).to(images)
        return torch.lerp(images, drawn, self.strength).clamp(0, 1)
