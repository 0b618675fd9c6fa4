"""DiffPure in latent space: noise the latents part of the way and denoise them again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from torch import Tensor

from ..diffusion import Diffusion
from ..profile import Profile
from ..progress import OnStep
from ..settings import Count, Guidance, Seed, Share, Template
from ..templates import fill
from .base import Purifier, by_batches, register
from .rows import row_generators
from .windows import at_once, in_windows, padded, window_of


@register("ldiffpure")
@dataclass(frozen=True)
class LatentDiffPure(Purifier):
    """Image-to-image with the profile's model under a prompt for clean pictures.

    DiffShortcut's "ldiffp": 300 of 1,000 timesteps, ancestral, guidance 7.5.

    Args:
        strength: share of the noise schedule; 0 is the identity.
        steps: denoising steps taken; 300 walks through every timestep.
        prompt: what the picture should show; {class_name} is filled in.
        guidance_scale: of the prompt.
        eta: 1 is ancestral, 0 deterministic.
        seed: picture i draws from (seed, i).
        batch: pictures per forward pass.
    """

    strength: Share = 0.3
    steps: Count = 300
    guidance_scale: Guidance = 7.5
    prompt: Template = "a photo of a {class_name}, clear, high resolution, high quality, noise-free"
    eta: Share = 1.0
    seed: Seed = 0
    batch: Count = field(default=8, compare=False, repr=False)

    @property
    def roles(self) -> tuple[str, ...]:
        return ("diffusion",)

    def prepared(self, profile: Profile, class_name: str) -> Self:
        return replace(self, prompt=fill(self.prompt, class_name))

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.strength == 0:
            return images.clone()
        model: Diffusion = models.diffusion
        source, window = row_generators(self.seed, len(images)), window_of(model)

        def work(x: Tensor) -> Tensor:
            def edited(rows: slice) -> Tensor:
                return model.edit(
                    x[rows],
                    self.prompt,
                    strength=self.strength,
                    source=source[rows],
                    steps=self.steps,
                    guidance_scale=self.guidance_scale,
                    eta=self.eta,
                )

            return by_batches(len(x), at_once(self.batch, images, window), edited, on_step)

        drawn = in_windows(lambda x: padded(work, x, model.unit), images, window)
        return drawn.clamp(0, 1).to(images)


@register("eldiffpure")
@dataclass(frozen=True)
class EmptyLatentDiffPure(LatentDiffPure):
    """The same under the empty prompt (DiffShortcut's "eldiffp"): no guidance, half the cost."""

    prompt: Template = ""
