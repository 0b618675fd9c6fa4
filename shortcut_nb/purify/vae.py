"""VAE round trip: what the latent space cannot hold is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..diffusion import Diffusion
from ..progress import OnStep
from ..settings import Share
from .base import Purifier, by_batches, register
from .windows import at_once, in_windows, padded, window_of


@register("vae")
@dataclass(frozen=True)
class VaeRoundTrip(Purifier):
    """Encode and decode with the profile's autoencoder, at the posterior mean.

    Args:
        strength: 0 is the identity, 1 the decoded picture, in between a linear blend.
    """

    strength: Share = 1.0

    @property
    def roles(self) -> tuple[str, ...]:
        return ("diffusion",)

    @torch.no_grad()
    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.strength == 0:
            return images.clone()
        model: Diffusion = models.diffusion
        window = window_of(model)

        def round_trip(x: Tensor) -> Tensor:
            def drawn(rows: slice) -> Tensor:
                return model.decode(model.posterior(x[rows])[0])

            count = at_once(model.pictures_at_once, images, window)
            return by_batches(len(x), count, drawn, on_step)

        drawn = in_windows(lambda x: padded(round_trip, x, model.latent_unit), images, window)
        return torch.lerp(images, drawn.to(images), self.strength).clamp(0, 1)
