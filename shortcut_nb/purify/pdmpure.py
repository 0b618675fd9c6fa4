"""PDM-Pure (Xue & Chen 2024): pixel-space models are hard to fool; let one redraw the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Generator, Tensor

from ..networks import PixelDiffusion
from ..profile import Profile
from ..progress import OnStep, share_of
from ..settings import Count, Guidance, SampleSteps, Share, Template
from ..templates import fill
from .base import register
from .diffpure import DiffPure
from .sr import NoiseLevel, SuperResolution


@register("pdmpure")
@dataclass(frozen=True)
class PDMPure(DiffPure):
    """SDEdit at little noise in pixel space, then super-resolution.

    PDM-Pure runs two stages of DeepFloyd IF: its 256-pixel stage II, told "a picture" by a T5 and
    shown a 64-pixel copy beside the noised picture, with guidance 7; then the ×4 upscaler to
    1,024 pixels, and back to the input's size. Here stage II is the profile's unconditional DDPM:
    no words, no small copy, no guidance, and overlapping windows instead of a resize to 256. The
    last stage is the purifier "sr", which shrinks and enlarges by the same factor: it takes away
    more than PDM-Pure's, which enlarges first.

    Args:
        strength: timestep to noise to, as a share of the schedule; 0 is the identity. At 0.05 of
            linear betas the noise's standard deviation is 0.17, that of IF's base step 99.
        steps: denoising steps taken, 10 as published.
        upscale: run the last stage. None runs it where the profile names an upscaler.
        upscale_steps, guidance_scale, noise_level, prompt: of the last stage, as published.
        variant: "released" noises to 4/9 of the timestep that it denoises from, as the released
            script does (base step 44 and 99).
    """

    strength: Share = 0.05
    steps: Count = 10
    upscale: bool | None = None
    upscale_steps: SampleSteps = 50
    guidance_scale: Guidance = 4.0
    noise_level: NoiseLevel = 20
    prompt: Template = "a picture"

    @property
    def roles(self) -> tuple[str, ...]:
        return ("purifier:pixel", *(self.last_stage().roles if self.upscale else ()))

    def prepared(self, profile: Profile, class_name: str) -> Self:
        upscale = self.upscale
        if upscale is None:
            upscale = "upscaler" in profile.purifiers
        return replace(self, upscale=upscale, prompt=fill(self.prompt, class_name))

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if not self.upscale or self.timestep(models.pixel_diffusion) < 0:
            return super().run(images, models, on_step)
        redrawn = super().run(images, models, share_of(on_step, 0, 2))
        return self.last_stage().run(redrawn, models, share_of(on_step, 1, 2))

    def clean(self, model: PixelDiffusion, x: Tensor, source: Sequence[Generator]) -> Tensor:
        t = self.timestep(model)
        noised = t * 4 // 9 if self.variant == "released" else t
        noisy = model.add_noise((x * 2 - 1).to(model.device), noised, source)
        return (self.denoise(model, noisy, t, source).to(x) / 2 + 0.5).clamp(0, 1)

    def last_stage(self) -> SuperResolution:
        """Super-resolution with its share of the parameters."""
        return SuperResolution(
            steps=self.upscale_steps,
            guidance_scale=self.guidance_scale,
            noise_level=self.noise_level,
            prompt=self.prompt,
            seed=self.seed,
        )
