"""The one projected-gradient loop (Madry et al. 2018), and the objectives it climbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from ..budget import Budget
from ..diffusion import Diffusion, draw_normal


class Objective(Protocol):
    """What PGD climbs (``direction`` +1) or descends (−1)."""

    direction: int

    def __call__(self, x: Tensor, source: Sequence[Generator]) -> Tensor:
        """The objective of each picture, (n,), differentiable in x (n, 3, H, W) in [0, 1].

        Row i draws what it needs from generator i alone.
        """
        ...


@dataclass(frozen=True, eq=False)
class DenoisingLoss:
    """L_ldm of pictures under a prompt: one draw of t, noise and posterior per call.

    Climbed by AdvDM and ASPL (ALGORITHMS: Liang et al. 2023; Van Le et al. 2023, eq. 3).
    ``context`` is the prompt's text state, (1, length, width).
    """

    model: Diffusion
    context: Tensor
    direction: int = 1

    def __call__(self, x: Tensor, source: Sequence[Generator]) -> Tensor:
        latents = self.model.encode(x, source)
        noise = draw_normal(latents.shape[1:], source)
        steps = self.model.noise_schedule.config.num_train_timesteps
        t = torch.cat([torch.randint(0, steps, (1,), generator=g) for g in source])
        context = self.context.expand(len(x), -1, -1)
        return self.model.denoising_loss(latents, t, noise, context)


def pgd(
    objective: Objective, x: Tensor, clean: Tensor, budget: Budget, *,
    alpha: float, steps: int, source: Sequence[Generator],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Take signed steps of size ``alpha``, each projected to the ball around ``clean``.

    Args:
        x: where to start, (n, 3, H, W) in [0, 1]; not written to.
        alpha: step size as a share of [0, 1].
        source: one generator per picture; they advance, so that a later call goes on from here.

    Returns:
        The pictures after the last step (not rounded), and the trace (steps, n).

    Raises:
        FloatingPointError: when a loss is not finite; says at which step.
    """
    x, trace = x.detach().clone(), []
    for step in range(steps):
        x.requires_grad_(True)
        with torch.enable_grad():
            values = objective(x, source)
            (gradient,) = torch.autograd.grad(values.sum(), x)
        if not torch.isfinite(values).all():
            raise FloatingPointError(
                f"the attack's loss is {values.tolist()} at step {step}: the model's weights or "
                "its arithmetic overflow. Try float32."
            )
        x = budget.project(x.detach() + objective.direction * alpha * gradient.sign(), clean)
        trace.append(values.detach().float().cpu())
    return x, torch.stack(trace) if trace else torch.zeros(0, len(x))


def start_uniform(clean: Tensor, budget: Budget, source: Sequence[Generator]) -> Tensor:
    """A uniform random point of the ball, row i from generator i."""
    offset = [torch.rand(clean.shape[1:], generator=g) * 2 - 1 for g in source]
    return budget.project(clean + budget.unit * torch.stack(offset).to(clean.device), clean)
