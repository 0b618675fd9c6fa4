"""DiffPure (Nie et al. 2022): noise the picture, then let a diffusion model clean it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Generator, Tensor

from ..diffusion import generators
from ..images import check_images
from .base import OnStep, need, register
from .pixel_diffusion import PixelDiffusion
from .windows import boxes, overlap, padded


@dataclass(frozen=True)
class PixelPurifier:
    """What pixel-space purifiers share: windows on pictures of any size, seeds, rounds.

    Args:
        seed: picture i draws from (seed, i).
        variant: "corrected", or "released": DiffShortcut feeds [0, 1] pictures to a model of
            [−1, 1] and stores its output as bytes, where negative values wrap around.
    """

    seed: int = 0
    variant: str = "corrected"
    model: PixelDiffusion | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.variant not in ("corrected", "released"):
            raise ValueError(f"variant must be 'corrected' or 'released', got {self.variant!r}")

    @property
    def roles(self) -> tuple[str, ...]:
        """The profile's models that this depends on."""
        return ("purifier:pixel",)

    def bind(self, lab: Any, class_name: str = "") -> Self:
        """A copy that holds ``lab.pixel_diffusion``."""
        return replace(self, model=lab.pixel_diffusion)

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1], window by window where it is larger than one."""
        check_images(images)
        model = need(self.model, self.name)
        if self.timestep(model) < 0:
            return images.clone()
        source = generators([self.seed * 100_003 + i for i in range(len(images))])

        def work(x: Tensor) -> Tensor:
            return self.rounds(model, x, source, on_step)

        return padded(work, images, 1, least=model.window).clamp(0, 1).to(images)

    def timestep(self, model: PixelDiffusion) -> int:
        """The timestep to noise to; −1 leaves pictures alone."""
        raise NotImplementedError(f"{type(self).__name__} does not say how much noise it adds")

    def rounds(
        self, model: PixelDiffusion, x: Tensor, source: Sequence[Generator],
        on_step: OnStep | None,
    ) -> Tensor:  # fmt: skip
        """All of the work on pictures at least as large as a window."""
        return self.windows(model, x, source)

    def windows(self, model: PixelDiffusion, x: Tensor, source: Sequence[Generator]) -> Tensor:
        """Clean every window once and average where they overlap."""
        high, wide = x.shape[-2:]
        stride = model.window // 2
        weight = overlap(high, wide, model.window, stride)
        total = torch.zeros_like(x)
        for share, (top, left) in zip(weight, boxes(high, wide, model.window, stride), strict=True):
            rows = slice(top, top + model.window)
            columns = slice(left, left + model.window)
            cleaned = self.clean(model, x[..., rows, columns], source)
            total[..., rows, columns] += share[rows, columns].to(x) * cleaned
        return total

    def clean(self, model: PixelDiffusion, x: Tensor, source: Sequence[Generator]) -> Tensor:
        """One window, (n, 3, window, window) in [0, 1], noised and denoised."""
        t, released = self.timestep(model), self.variant == "released"
        shown = (x if released else x * 2 - 1).to(model.device)
        out = self.denoise(model, model.add_noise(shown, t, source), t, source).to(x)
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

    strength: float = 0.15
    steps: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.strength <= 1 or self.steps < 1:
            raise ValueError(
                f"expected strength in [0, 1] and steps >= 1, got {self.strength}, {self.steps}"
            )

    def timestep(self, model: PixelDiffusion) -> int:
        return round(self.strength * model.schedule.config.num_train_timesteps) - 1

    def denoise(
        self, model: PixelDiffusion, noisy: Tensor, t: int, source: Sequence[Generator]
    ) -> Tensor:
        return model.denoise(noisy, t, self.steps, source)
