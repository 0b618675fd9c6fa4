"""IMPRESS (Cao et al. 2023): the nearest picture that the autoencoder reproduces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Gt, Le
from torch import Tensor

from ..diffusion import draw_normal
from ..models import Models
from ..progress import OnStep, StepInfo
from ..settings import Seed, Share, Weight, Whole
from ..tuning.modes import frozen
from .base import Purifier, register
from .rows import row_generators
from .windows import in_windows, padded, window_of


@register("impress")
@dataclass(frozen=True)
class Impress(Purifier):
    """min_x ‖D(E(x)) − x‖² (mean) + weight · max(P(x, x') − perceptual, 0), by Adam from near x'.

    Clean pictures survive a VAE round trip better than protected ones do: consistency is the
    goal, a perceptual budget around the protected picture x' the limit. P is
    :class:`shortcut_nb.metrics.perceptual.ClipPerceptualDistance` where IMPRESS has LPIPS.

    Args:
        lr: Adam's, in units of [−1, 1] as published, with a cosine to 1e-5.
        start_noise: standard deviation of the noise at the start, in units of [−1, 1].
        steps: 3,000 as published; 0 is the identity.
        perceptual: how far the picture may go from the protected one, as P measures it.
        weight: price of going further.
        seed: picture i draws its start from (seed, i).
    """

    steps: Whole = 3000
    lr: Annotated[float, Gt(0), Le(10)] = 0.01
    weight: Weight = 0.1
    perceptual: Share = 0.1
    start_noise: Share = 0.1
    seed: Seed = 0

    @property
    def roles(self) -> tuple[str, ...]:
        return ("diffusion", "clip")

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.steps == 0:
            return images.clone()
        with frozen(models.diffusion.pipe.vae), torch.enable_grad():
            unit = models.diffusion.latent_unit
            purified = in_windows(
                lambda x: padded(lambda y: self._search(models, y, on_step), x, unit),
                images,
                window_of(models.diffusion),
            )
        return purified.clamp(0, 1).to(images)

    def objective(self, models: Models, x: Tensor, protected: list[Tensor]) -> Tensor:
        """The loss of each picture, (n,); x in [−1, 1], ``protected`` their start's activations."""
        model, distance = models.diffusion, models.perceptual
        pictures = (x / 2 + 0.5).clamp(0, 1)
        drawn = model.draw(model.posterior(pictures)[0]) * 2 - 1
        consistency = (drawn - x.to(drawn.device)).square().flatten(1).mean(1)
        apart = distance.between(distance.activations(pictures), protected) - self.perceptual
        return consistency + self.weight * apart.clamp_min(0).to(drawn.device)

    def _search(self, models: Models, images: Tensor, on_step: OnStep) -> Tensor:
        with torch.no_grad():
            protected = models.perceptual.activations(images)
        noise = draw_normal(images.shape[1:], row_generators(self.seed, len(images)))
        x = (images * 2 - 1 + self.start_noise * noise.to(images)).clamp(-1, 1).requires_grad_(True)
        adam = torch.optim.Adam([x], lr=self.lr, eps=1e-5)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.steps, eta_min=1e-5)
        for step in range(self.steps):
            adam.zero_grad(set_to_none=True)
            self.objective(models, x, protected).sum().backward()
            adam.step()
            schedule.step()
            with torch.no_grad():
                x.clamp_(-1, 1)
            on_step(StepInfo(step + 1, self.steps))
        return (x.detach() / 2 + 0.5).clone()
