"""IMPRESS (Cao et al. 2023): the nearest picture that the autoencoder reproduces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..diffusion import Diffusion, draw_normal, generators
from ..images import check_images
from ..metrics.perceptual import ClipPerceptualDistance
from ..modes import frozen
from .base import OnStep, need, register
from .windows import padded


@register("impress")
@dataclass(frozen=True)
class Impress:
    """min_x ‖D(E(x)) − x‖² (mean) + weight · max(P(x, x') − perceptual, 0), by Adam from near x'.

    Clean pictures survive a VAE round trip better than protected ones do: consistency is the
    goal, a perceptual budget around the protected picture x' the limit. P is
    :class:`shortcut_nb.metrics.perceptual.ClipPerceptualDistance` where IMPRESS has LPIPS.

    Args:
        lr: Adam's, in units of [−1, 1] as published, with a cosine to 1e-5.
        start_noise: standard deviation of the noise at the start, in units of [−1, 1].
        steps: 3,000 as published; 0 is the identity.
    """

    roles: ClassVar[tuple[str, ...]] = ("diffusion", "clip")
    steps: int = 3000
    lr: float = 0.01
    weight: float = 0.1
    perceptual: float = 0.1
    start_noise: float = 0.1
    seed: int = 0
    model: Diffusion | None = field(default=None, compare=False, repr=False)
    distance: ClipPerceptualDistance | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.steps < 0 or self.lr <= 0:
            raise ValueError(f"expected steps >= 0 and lr > 0, got {self.steps}, {self.lr}")

    def bind(self, lab: Any, class_name: str = "") -> Impress:
        """A copy that holds the lab's autoencoder and CLIP."""
        return replace(self, model=lab.diffusion, distance=lab.perceptual)

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        check_images(images)
        if self.steps == 0:
            return images.clone()
        model = need(self.model, self.name)
        with frozen(model.pipe.vae), torch.enable_grad():
            found = padded(lambda x: self._search(model, x, on_step), images, model.latent_unit)
        return found.clamp(0, 1).to(images)

    def objective(self, model: Diffusion, x: Tensor, given: list[Tensor]) -> Tensor:
        """The loss of each picture, (n,); x in [−1, 1], ``given`` the protected's activations."""
        shown = (x / 2 + 0.5).clamp(0, 1)
        drawn = model.draw(model.posterior(shown)[0]) * 2 - 1
        consistency = (drawn - x.to(drawn.device)).square().flatten(1).mean(1)
        distance = need(self.distance, self.name)
        apart = distance.between(distance.activations(shown), given) - self.perceptual
        return consistency + self.weight * apart.clamp_min(0).to(drawn.device)

    def _search(self, model: Diffusion, images: Tensor, on_step: OnStep | None) -> Tensor:
        with torch.no_grad():
            given = need(self.distance, self.name).activations(images)
        noise = draw_normal(
            images.shape[1:], generators([self.seed * 100_003 + i for i in range(len(images))])
        )
        x = (images * 2 - 1 + self.start_noise * noise.to(images)).clamp(-1, 1).requires_grad_(True)
        adam = torch.optim.Adam([x], lr=self.lr, eps=1e-5)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.steps, eta_min=1e-5)
        for step in range(self.steps):
            adam.zero_grad(set_to_none=True)
            self.objective(model, x, given).sum().backward()
            adam.step()
            schedule.step()
            with torch.no_grad():
                x.clamp_(-1, 1)
            if on_step is not None:
                on_step(step + 1, self.steps)
        return (x.detach() / 2 + 0.5).clone()
