"""Glaze (Shan et al. 2023), as re-implemented by IMPRESS: into another style's latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Generator, Tensor

from ..diffusion import draw_normal
from ..models import Models
from ..settings import Count, Share, Weight
from .base import Attack, register
from .pgd import check_finite, start_uniform, values_and_gradient
from .run import Run


@register("glaze")
@dataclass(frozen=True)
class Glaze(Attack):
    """min_δ MSE(z(x + δ), z(x_style)) + weight · max(P(x, x + δ) − perceptual, 0), with Adam.

    x_style is the picture redrawn in another style, by image-to-image with the profile's model.
    P is :class:`shortcut_nb.metrics.perceptual.ClipPerceptualDistance`, where the original has
    LPIPS. Every step ends in the common l∞ ball, which the original does not have: eps="255/255"
    takes it away.

    Args:
        steps: of Adam; 500 as published.
        style: the prompt of the redrawing.
        style_strength: how far the redrawing noises the latents, in (0, 1].
        lr: Adam's, per step in units of [0, 1]; 0.005 is the published 0.01 of [-1, 1].
        perceptual, weight: the perceptual budget and the price of leaving it.
    """

    style: str = "a painting in the style of cubism"
    style_strength: Annotated[float, Gt(0), Le(1)] = 0.4
    steps: Count = 500
    lr: Annotated[float, Gt(0), Le(10)] = 0.005
    perceptual: Share = 0.05
    weight: Weight = 30.0

    paper = {"eps": "255/255"}

    @property
    def total(self) -> int:
        return self.steps

    def roles(self, models: Models) -> tuple[str, ...]:
        return ("diffusion", "clip")

    def texts(self, run: Run) -> list[str]:
        return [self.style]

    def prepare(self, run: Run) -> None:
        # As published: uniform within ± p of [−1, 1], with the perceptual budget as p.
        radius = min(self.budget.unit, self.perceptual / 2)
        run.x = start_uniform(run.clean, self.budget, run.generators, radius)
        styled = self.restyle(run)
        with torch.no_grad():
            mean, std = run.models.diffusion.posterior(styled)
        run.state |= {"style_mean": mean, "style_std": std, "adam": None}

    def restyle(self, run: Run) -> Tensor:
        """The pictures in the other style, (n, 3, H, W) in [0, 1]."""
        sampling = run.models.profile.sampling
        return run.models.diffusion.edit(
            run.clean,
            self.style,
            strength=self.style_strength,
            source=run.generators,
            steps=sampling.steps,
            guidance_scale=sampling.guidance_scale,
        )

    def rebuild(self, run: Run) -> None:
        run.rebuilt["perceptual"] = distance = run.models.perceptual
        with torch.no_grad():
            run.rebuilt["reference"] = distance.activations(run.clean)
        run.x = run.x.detach().clone()  # Adam changes it in place
        run.rebuilt["adam"] = torch.optim.Adam([run.x], lr=self.lr)
        if run.state["adam"] is not None:
            run.rebuilt["adam"].load_state_dict(run.state["adam"])

    def round(self, run: Run, number: int) -> Tensor:
        def loss(x: Tensor, source: Sequence[Generator], rows: slice) -> Tensor:
            return self._loss(run, x, source, rows)

        values, gradient = values_and_gradient(loss, run.x, run.generators, chunk=self.chunk)
        check_finite(values, gradient, number)
        adam = run.rebuilt["adam"]
        run.x.grad = gradient
        adam.step()
        adam.zero_grad(set_to_none=True)
        run.x.copy_(self.budget.project(run.x, run.clean))
        run.state["adam"] = adam.state_dict()
        return values[None]

    def _loss(self, run: Run, x: Tensor, source: Sequence[Generator], rows: slice) -> Tensor:
        model = run.models.diffusion
        z = model.encode(x.clamp(0, 1), source)
        noise = draw_normal(z.shape[1:], source).to(z.device)
        mean, std = (run.state[f"style_{part}"][rows].to(z.device) for part in ("mean", "std"))
        goal = mean + std * noise
        scale = model.scaling  # the published latents are not scaled
        latent = ((z - goal) / scale).square().flatten(1).mean(1)
        distance, reference = run.rebuilt["perceptual"], run.rebuilt["reference"]
        apart = distance.between(distance.activations(x), [layer[rows] for layer in reference])
        apart = apart - self.perceptual
        return latent + self.weight * apart.clamp_min(0).to(latent.device)
