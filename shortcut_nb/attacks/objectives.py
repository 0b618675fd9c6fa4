"""What PGD climbs or descends: functions of pictures, and of their latents.

An objective draws row i's randomness from generator i alone, so that a result does not depend on
the batch. ``rows`` says which of the attack's pictures it was given: objectives that hold
something per picture (targets, timesteps) look theirs up there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion, draw_normal
from ..tuning.weighting import min_snr_weight

ALL = slice(None)


class Objective(Protocol):
    """What PGD climbs (``direction`` +1) or descends (−1)."""

    @property
    def direction(self) -> int: ...

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        """The objective of each picture, (n,), differentiable in x (n, 3, H, W) in [0, 1]."""
        ...


class LatentTerm(Protocol):
    """An objective that needs no more than latents, so that several can share one encoding."""

    def on(self, z: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        """The value of each picture, (n,), from its scaled latents (n, c, h, w)."""
        ...


def pick(values: Tensor, rows: slice) -> Tensor:
    """The rows of something held per picture, or the one row that is held for all."""
    return values if len(values) == 1 else values[rows]


@dataclass(frozen=True, eq=False)
class DenoisingLoss:
    """L_ldm of pictures under a prompt: one draw of t, noise and posterior per call.

    Climbed by AdvDM and ASPL (Liang et al. 2023; Van Le et al. 2023, eq. 3).

    Args:
        context: the prompt's text state, (1, length, width).
        timesteps: for each picture the timesteps to draw from; None is all of them.
        snr_gamma: weigh by min-SNR with this γ; None does not.
    """

    model: Diffusion
    context: Tensor
    direction: int = 1
    timesteps: Sequence[Tensor] | None = None
    snr_gamma: float | None = None

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        return self.on(self.model.encode(x, source), source, rows)

    def on(self, z: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        noise, t = self.draw(z, source, rows)
        context = self.context.expand(len(z), -1, -1)
        return self.weighted(self.model.denoising_loss(z, t, noise, context), t)

    def weighted(self, loss: Tensor, t: Tensor, velocity: bool | None = None) -> Tensor:
        """Losses (n,) at timesteps (n,), weighed as ``snr_gamma`` says.

        Args:
            velocity: see :func:`.min_snr_weight`.
        """
        if self.snr_gamma is None:
            return loss
        t = t.to(loss.device)
        return loss * min_snr_weight(self.model.noise_schedule, t, self.snr_gamma, velocity)

    def draw(self, z: Tensor, source: Sequence[Generator], rows: slice) -> tuple[Tensor, Tensor]:
        """Noise like z, and timesteps (n,)."""
        if self.timesteps is None:
            return self.model.draw_noising(z, source)
        noise, allowed = draw_normal(z.shape[1:], source), self.timesteps[rows]
        drawn = [
            timesteps[torch.randint(0, len(timesteps), (1,), generator=g)]
            for timesteps, g in zip(allowed, source, strict=True)
        ]
        return noise, torch.cat(drawn)


@dataclass(frozen=True, eq=False)
class TargetedDenoisingLoss(DenoisingLoss):
    """L_ldm minus the distance of the denoised step from a target's (Van Le et al. 2023, T-ASPL).

    ‖ε_θ(z_t) − ε‖² − ‖step(ε_θ, z_t) − (target noised to t−1)‖², means over entries; same noise.
    Both terms have the weight of their timestep, so that their balance is the published one.

    Args:
        target: scaled latents of the target picture, (1, c, h, w).
        from_zero: also draw t = 0, where the released code takes index −1 (the noisiest step) for
            the target; otherwise t starts at 1.
    """

    target: Tensor = field(kw_only=True)
    from_zero: bool = False

    def on(self, z: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        noise, t = self.draw(z, source, rows)
        t = t if self.from_zero else t.clamp_min(1)
        model, schedule = self.model, self.model.noise_schedule
        noise = noise.to(z.device)
        context = self.context.expand(len(z), -1, -1)
        guess, truth, noisy = model.predict(z, t, noise, context)
        previous = torch.cat(
            [
                schedule.step(
                    guess[i : i + 1], step, noisy[i : i + 1], generator=source[i]
                ).prev_sample
                for i, step in enumerate(t.tolist())  # at once: each waits for a GPU
            ]
        )
        goal = schedule.add_noise(self.target.expand_as(z), noise, (t - 1).to(z.device))
        away = (guess - truth).square().flatten(1).mean(1)
        towards = (previous - goal).square().flatten(1).mean(1)
        return self.weighted(away - towards, t)


@dataclass(frozen=True, eq=False)
class LatentDistance:
    """How far latents are from a target: sum of squares, or its root (``root=True``)."""

    target: Tensor
    root: bool = False

    def on(self, z: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        total = (z - pick(self.target, rows)).square().flatten(1).sum(1)
        return (total + 1e-12).sqrt() if self.root else total


@dataclass(frozen=True, eq=False)
class ScoreDistillation:
    """The denoising loss with the UNet's Jacobian left out (Xue et al. 2024; Poole et al. 2023).

    Its value is L_ldm; its gradient is J_E(x)ᵀ (ε_θ(z_t) − ε), so the UNet runs forward only. Where
    the loss is weighed by min-SNR, the gradient has the weight of an error in the noise, also where
    the UNet answers with the velocity: the error was made one of the noise's.
    """

    loss: DenoisingLoss

    def on(self, z: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        model = self.loss.model
        noise, t = self.loss.draw(z, source, rows)
        with torch.no_grad():
            context = self.loss.context.expand(len(z), -1, -1)
            guess, truth, _ = model.predict(z, t, noise.to(z.device), context)
            slope = guess - truth
            value = self.loss.weighted(slope.square().flatten(1).mean(1), t)
            if model.predicts_velocity:
                slope = slope * model.alpha_bar(t).sqrt()  # a velocity's error as noise's
        through = self.loss.weighted((slope * z).flatten(1).sum(1), t, velocity=False)
        return through - through.detach() + value


@dataclass(frozen=True, eq=False)
class OnLatents:
    """A weighted sum of latent terms that share one encoding of the pictures.

    Args:
        sampled: draw from the posterior; False takes its mean.
        scaled: multiply by the VAE's scaling factor, as the UNet sees latents.
    """

    model: Diffusion
    terms: Sequence[tuple[float, LatentTerm]]
    direction: int = -1
    sampled: bool = True
    scaled: bool = True

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        z = self.model.encode(x, source) if self.sampled else self.model.posterior(x)[0]
        if not self.scaled:
            z = z / self.model.scaling
        total = torch.zeros(len(z), device=z.device)
        for weight, term in self.terms:
            total = total + weight * term.on(z, source, rows)
        return total
