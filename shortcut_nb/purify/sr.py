"""Super-resolution: shrink by four, then let a diffusion upscaler draw the detail again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionUpscalePipeline
from torch import Tensor
from torch.nn.functional import interpolate

from ..diffusion import generators
from ..images import check_images
from .base import OnStep, by_batches, need, register
from .windows import padded


@register("sr")
@dataclass(frozen=True)
class SuperResolution:
    """Bicubic ÷4, then ×4 by the profile's StableDiffusionUpscalePipeline, as in DiffShortcut.

    Args:
        steps, guidance_scale, noise_level: of the upscaler's pipeline; 75, 9 and 20 by default.
        prompt: {class_name} is filled in by ``bind``.
        seed: picture i draws from (seed, i).
    """

    # An upscaler without a text encoder reads prompts with the text-to-image model's.
    roles: ClassVar[tuple[str, ...]] = ("diffusion", "purifier:upscaler")
    steps: int = 75
    guidance_scale: float = 9.0
    noise_level: int = 20
    prompt: str = "A photo of a {class_name}"
    seed: int = 0
    model: StableDiffusionUpscalePipeline | None = field(default=None, compare=False, repr=False)
    batch: int = field(default=8, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.noise_level < 0:
            raise ValueError(
                f"expected steps >= 1 and noise_level >= 0, got {self.steps}, {self.noise_level}"
            )

    def bind(self, lab: Any, class_name: str = "") -> SuperResolution:
        """A copy that holds ``lab.upscaler``, its prompt filled in."""
        said = self.prompt.format(class_name=class_name)
        return replace(self, model=lab.upscaler, prompt=said)

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        check_images(images)
        pipe = need(self.model, self.name)
        source = generators([self.seed * 100_003 + i for i in range(len(images))])

        def work(x: Tensor) -> Tensor:
            small = interpolate(
                x, (x.shape[-2] // 4, x.shape[-1] // 4), mode="bicubic", antialias=True
            ).clamp(0, 1)

            def enlarged(rows: slice) -> Tensor:
                part = small[rows]
                with torch.inference_mode():
                    drawn = pipe(
                        prompt=[self.prompt] * len(part), image=part, generator=source[rows],
                        num_inference_steps=self.steps, guidance_scale=self.guidance_scale,
                        noise_level=self.noise_level, output_type="pt",
                    ).images  # fmt: skip
                return drawn.float().cpu().clone()

            return by_batches(len(x), self.batch, enlarged, on_step)

        # The pipeline rounds the small picture's sides down to its VAE's factor.
        depth = len(pipe.unet.config.block_out_channels) - 1
        unit = max(2**depth, pipe.vae_scale_factor)
        return padded(work, images, 4 * unit).clamp(0, 1).to(images)
