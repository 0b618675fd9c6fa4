"""Super-resolution: shrink, then let a diffusion upscaler draw the detail again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

import torch
from annotated_types import Ge, Le
from diffusers import StableDiffusionUpscalePipeline
from torch import Tensor

from ..images import resized
from ..profile import Profile
from ..progress import OnStep
from ..settings import Count, Guidance, SampleSteps, Seed, Template
from ..templates import fill
from .base import Purifier, by_batches, register
from .rows import row_generators
from .windows import at_once, in_windows, padded

NoiseLevel = Annotated[int, Ge(0), Le(350)]
"""The most that Stable Diffusion's upscaler was trained with is 350."""


@register("sr")
@dataclass(frozen=True)
class SuperResolution(Purifier):
    """Bicubic down, then up by the profile's StableDiffusionUpscalePipeline, as in DiffShortcut.

    The factor is the pipeline's own: 4 for Stable Diffusion's upscaler, from a quarter of 512
    pixels, where a face is still a face.

    Args:
        steps, guidance_scale, noise_level: of the upscaler's pipeline; 75, 9 and 20 by default.
        prompt: {class_name} is filled in.
        seed: picture i draws from (seed, i).
        batch: pictures per forward pass.
    """

    steps: SampleSteps = 75
    guidance_scale: Guidance = 9.0
    noise_level: NoiseLevel = 20
    prompt: Template = "A photo of a {class_name}"
    seed: Seed = 0
    batch: Count = field(default=8, compare=False, repr=False)

    @property
    def roles(self) -> tuple[str, ...]:
        # An upscaler without a text encoder reads prompts with the text-to-image model's.
        return ("diffusion", "purifier:upscaler")

    def prepared(self, profile: Profile, class_name: str) -> Self:
        return replace(self, prompt=fill(self.prompt, class_name))

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        pipe: StableDiffusionUpscalePipeline = models.upscaler
        factor = pipe.vae_scale_factor
        source = row_generators(self.seed, len(images))

        def work(x: Tensor) -> Tensor:
            sides = (x.shape[-2] // factor, x.shape[-1] // factor)
            small = resized(x, sides)

            def enlarged(rows: slice) -> Tensor:
                part = small[rows]
                with torch.inference_mode():
                    drawn = pipe(
                        prompt=[self.prompt] * len(part),
                        image=part,
                        generator=source[rows],
                        num_inference_steps=self.steps,
                        guidance_scale=self.guidance_scale,
                        noise_level=self.noise_level,
                        output_type="pt",
                    ).images
                return drawn.float().cpu().clone()

            return by_batches(len(x), at_once(self.batch, images), enlarged, on_step)

        # The pipeline rounds the small picture's sides down to its VAE's factor.
        depth = len(pipe.unet.config.block_out_channels) - 1
        unit = max(2**depth, factor)
        drawn = in_windows(lambda x: padded(work, x, factor * unit), images)
        return drawn.clamp(0, 1).to(images)
