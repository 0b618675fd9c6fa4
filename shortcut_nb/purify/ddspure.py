"""DDSPure (Carlini et al. 2023): the right amount of noise, and one step to remove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from ..budget import Budget
from ..networks import PixelDiffusion
from ..settings import Levels
from .base import register
from .diffpure import PixelPurifier


@register("ddspure")
@dataclass(frozen=True)
class DDSPure(PixelPurifier):
    """Denoised smoothing: noise of standard deviation ``sigma``, removed in one shot.

    Args:
        sigma: "k/255", in units of [0, 1]; "0/255" is the identity. The released code puts the
            perturbation's budget here, takes the timestep of σ rather than 2σ, reads it in a
            schedule of 250 steps, and walks all the way back.
    """

    sigma: Levels = "32/255"

    def timestep(self, model: PixelDiffusion) -> int:
        unit = Budget.parse(self.sigma).unit
        if unit == 0:
            return -1
        if self.variant == "corrected":
            return model.timestep_for(unit)
        kept = model.schedule.alphas_cumprod
        on_long = int((kept - 1 / (1 + unit**2)).abs().argmin()) + 1
        return min(4 * on_long, len(kept) - 1)

    def denoise(
        self, model: PixelDiffusion, noisy: Tensor, t: int, source: Sequence[Generator]
    ) -> Tensor:
        if self.variant == "corrected":
            return model.guess(noisy, t)
        return model.denoise(noisy, t, max(1, t // 4), source)
