"""PDM-Pure (Xue & Chen 2024): pixel-space models are hard to fool; let one redraw the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from torch import Generator, Tensor

from .base import OnStep, need, register
from .diffpure import DiffPure
from .pixel_diffusion import PixelDiffusion
from .sr import SuperResolution


@register("pdmpure")
@dataclass(frozen=True)
class PDMPure(DiffPure):
    """SDEdit at little noise in pixel space, then super-resolution.

    PDM-Pure runs two stages of DeepFloyd IF: its 256-pixel stage II, told "a picture" by a T5 and
    shown a 64-pixel copy beside the noised picture, with guidance 7; then the ×4 upscaler to
    1,024 pixels, and back to the input's size. Here stage II is the profile's unconditional DDPM:
    no words, no small copy, no guidance, and overlapping windows instead of a resize to 256. The
    last stage is the purifier "sr", which shrinks by four and enlarges by four: it takes away
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

    strength: float = 0.05
    steps: int = 10
    upscale: bool | None = None
    upscale_steps: int = 50
    guidance_scale: float = 4.0
    noise_level: int = 20
    prompt: str = "a picture"
    upscaler: SuperResolution | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last_stage()  # its parameters are checked now

    @property
    def roles(self) -> tuple[str, ...]:
        """The pixel model, and the upscaler when it is to run."""
        return ("purifier:pixel", *(SuperResolution.roles if self.upscale else ()))

    def bind(self, lab: Any, class_name: str = "") -> Self:
        """A copy that holds ``lab.pixel_diffusion``, and the upscaler when it is to run."""
        upscale = self.upscale
        if upscale is None:
            upscale = "upscaler" in lab.profile.purifiers
        last = self._last_stage().bind(lab, class_name) if upscale else None
        return replace(super().bind(lab, class_name), upscale=upscale, upscaler=last)

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]; ``on_step`` counts each stage by itself."""
        redrawn = super().__call__(images, on_step)
        if not self.upscale or self.timestep(need(self.model, self.name)) < 0:
            return redrawn
        return need(self.upscaler, self.name)(redrawn, on_step)

    def clean(self, model: PixelDiffusion, x: Tensor, source: Sequence[Generator]) -> Tensor:
        t = self.timestep(model)
        noised = t * 4 // 9 if self.variant == "released" else t
        noisy = model.add_noise((x * 2 - 1).to(model.device), noised, source)
        return (self.denoise(model, noisy, t, source).to(x) / 2 + 0.5).clamp(0, 1)

    def _last_stage(self) -> SuperResolution:
        return SuperResolution(
            steps=self.upscale_steps, guidance_scale=self.guidance_scale,
            noise_level=self.noise_level, prompt=self.prompt, seed=self.seed,
        )  # fmt: skip
