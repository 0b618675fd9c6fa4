"""GrIDPure (Zhao et al. 2024): little noise, many rounds, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..images import from_u8, to_u8
from ..networks import PixelDiffusion
from ..progress import OnStep, StepInfo
from ..settings import Count, Share
from .base import register
from .diffpure import DiffPure


@register("gridpure")
@dataclass(frozen=True)
class GrIDPure(DiffPure):
    """``iterations`` × (noise to a small timestep, denoise, keep ``gamma`` of the picture before).

    Windows overlap by half; a picture larger than a window also has its four corners cleaned
    together as one window, so that they are covered as often as the rest.

    Args:
        strength: 0.01 is 10 of 1,000 timesteps, as in the authors' code.
        iterations: rounds of noising and denoising.
        gamma: share of the picture before that is kept in each round.
        variant: "released" is DiffShortcut's: four times the timestep, half the rounds, no corner
            window, and the wrong range.
    """

    strength: Share = 0.01
    steps: Count = 10
    iterations: Count = 20
    gamma: Share = 0.1

    def timestep(self, model: PixelDiffusion) -> int:
        return super().timestep(model) if self.strength == 0 else max(0, self._timestep(model))

    def _timestep(self, model: PixelDiffusion) -> int:
        times = 4 if self.variant == "released" else 1
        length = len(model.schedule.alphas_cumprod)
        return min(times * round(self.strength * length), length) - 1

    def rounds(
        self,
        model: PixelDiffusion,
        x: Tensor,
        source: Sequence[Generator],
        on_step: OnStep,
    ) -> Tensor:
        released = self.variant == "released"
        count = max(1, self.iterations // 2) if released else self.iterations
        for number in range(count):
            cleaned = self.windows(model, x, source)
            if not released and min(x.shape[-2:]) > model.window:
                cleaned = self._corners(model, x, cleaned, source)
            x = (1 - self.gamma) * cleaned + self.gamma * x
            x = from_u8(to_u8(x.clamp(0, 1))).to(x.device)
            on_step(StepInfo(number + 1, count))
        return x

    def _corners(
        self, model: PixelDiffusion, x: Tensor, cleaned: Tensor, source: Sequence[Generator]
    ) -> Tensor:
        """Clean the four corners, pasted together, as one window, and average the result in."""
        half = model.window // 2
        top = torch.cat([x[..., :half, :half], x[..., :half, -half:]], -1)
        bottom = torch.cat([x[..., -half:, :half], x[..., -half:, -half:]], -1)
        pasted = self.clean(model, torch.cat([top, bottom], -2), source)
        out = cleaned.clone()
        for high, part in ((slice(half), slice(half)), (slice(-half, None), slice(half, None))):
            out[..., high, :half] = (cleaned[..., high, :half] + pasted[..., part, :half]) / 2
            out[..., high, -half:] = (cleaned[..., high, -half:] + pasted[..., part, half:]) / 2
        return out
