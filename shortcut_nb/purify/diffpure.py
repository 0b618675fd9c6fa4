"""DiffPure (Nie et al. 2022): noise the picture, then let a diffusion model clean it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ..networks import PixelDiffusion
from ..progress import OnStep, StepInfo
from ..settings import Count, Seed, Share
from .base import Purifier, register
from .rows import row_generators
from .windows import boxes, padded, shares


@dataclass(frozen=True)
class PixelPurifier(Purifier):
    """What pixel-space purifiers share: windows on pictures of any size, seeds, rounds.

    Args:
        seed: picture i draws from (seed, i).
        variant: "corrected", or "released": DiffShortcut feeds [0, 1] pictures to a model of
            [−1, 1] and stores its output as bytes, where negative values wrap around.
    """

    seed: Seed = 0
    variant: Literal["corrected", "released"] = "corrected"

    @property
    def roles(self) -> tuple[str, ...]:
        return ("purifier:pixel",)

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        model: PixelDiffusion = models.pixel_diffusion
        if self.timestep(model) < 0:
            return images.clone()
        source = row_generators(self.seed, len(images))

        def work(x: Tensor) -> Tensor:
            return self.rounds(model, x, source, on_step)

        return padded(work, images, 1, least=model.window).clamp(0, 1).to(images)

    def timestep(self, model: PixelDiffusion) -> int:
        """The timestep to noise to; −1 leaves pictures alone."""
        raise NotImplementedError(f"{type(self).__name__} does not say how much noise it adds")

    def rounds(
        self,
        model: PixelDiffusion,
        x: Tensor,
        source: Sequence[Generator],
        on_step: OnStep,
    ) -> Tensor:
        """Purify pictures at least as large as a window: here in one pass over all windows."""
        return self.windows(model, x, source, on_step)

    def windows(
        self,
        model: PixelDiffusion,
        x: Tensor,
        source: Sequence[Generator],
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Clean every window once and average where they overlap; reports after each."""
        high, wide = x.shape[-2:]
        stride = model.window // 2
        share = shares(high, wide, model.window, stride).to(x)
        total = torch.zeros_like(x)
        corners = boxes(high, wide, model.window, stride)
        for done, (top, left) in enumerate(corners, start=1):
            rows = slice(top, top + model.window)
            columns = slice(left, left + model.window)
            cleaned = self.clean(model, x[..., rows, columns], source)
            total[..., rows, columns] += share[rows, columns] * cleaned
            if on_step:
                on_step(StepInfo(done, len(corners)))
        return total

    def clean(self, model: PixelDiffusion, x: Tensor, source: Sequence[Generator]) -> Tensor:
        """One window, (n, 3, window, window) in [0, 1], noised and denoised."""
        t, released = self.timestep(model), self.variant == "released"
        pictures = (x if released else x * 2 - 1).to(model.device)
        out = self.denoise(model, model.add_noise(pictures, t, source), t, source).to(x)
        if released:
            return (out * 255).trunc().remainder(256) / 255
        return (out / 2 + 0.5).clamp(0, 1)

    def denoise(
        self, model: PixelDiffusion, noisy: Tensor, t: int, source: Sequence[Generator]
    ) -> Tensor:
        """From noisy to clean, in the model's range."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it denoises")


@register("diffpure")
@dataclass(frozen=True)
class DiffPure(PixelPurifier):
    """Noise to ``strength`` of the schedule (0.15 in the paper for ImageNet), then denoise.

    Args:
        strength: timestep to noise to, as a share of the schedule; 0 is the identity.
        steps: denoising steps taken.
    """

    strength: Share = 0.15
    steps: Count = 50

    def timestep(self, model: PixelDiffusion) -> int:
        return round(self.strength * model.schedule.config.num_train_timesteps) - 1

    def denoise(
        self, model: PixelDiffusion, noisy: Tensor, t: int, source: Sequence[Generator]
    ) -> Tensor:
        return model.denoise(noisy, t, self.steps, source)
