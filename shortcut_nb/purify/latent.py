"""DiffPure in latent space: noise the latents part of the way and denoise them again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from ..diffusion import Diffusion, generators
from ..images import check_images
from .base import OnStep, by_batches, need, register
from .windows import padded


@register("ldiffpure")
@dataclass(frozen=True)
class LatentDiffPure:
    """Image-to-image with the profile's model under a prompt for clean pictures.

    DiffShortcut's "ldiffp": 300 of 1,000 timesteps, ancestral, guidance 7.5.

    Args:
        strength: share of the noise schedule; 0 is the identity.
        steps: denoising steps taken; 300 walks through every timestep.
        prompt: what the picture should show; {class_name} is filled in by ``bind``.
        eta: 1 is ancestral, 0 deterministic.
        seed: picture i draws from (seed, i).
    """

    roles: ClassVar[tuple[str, ...]] = ("diffusion",)
    strength: float = 0.3
    steps: int = 300
    guidance_scale: float = 7.5
    prompt: str = "a photo of a {class_name}, clear, high resolution, high quality, noise-free"
    eta: float = 1.0
    seed: int = 0
    model: Diffusion | None = field(default=None, compare=False, repr=False)
    batch: int = field(default=8, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1 or self.steps < 1:
            raise ValueError(
                f"expected strength in [0, 1] and steps >= 1, got {self.strength}, {self.steps}"
            )

    def bind(self, lab: Any, class_name: str = "") -> Self:
        """A copy that holds ``lab.diffusion``, its prompt filled in."""
        said = self.prompt.format(class_name=class_name)
        return replace(self, model=lab.diffusion, prompt=said)

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]."""
        check_images(images)
        if self.strength == 0:
            return images.clone()
        model = need(self.model, self.name)
        source = generators([self.seed * 100_003 + i for i in range(len(images))])

        def work(x: Tensor) -> Tensor:
            def edited(rows: slice) -> Tensor:
                return model.edit(
                    x[rows], self.prompt, strength=self.strength, source=source[rows],
                    steps=self.steps, guidance_scale=self.guidance_scale, eta=self.eta,
                )  # fmt: skip

            return by_batches(len(x), self.batch, edited, on_step)

        return padded(work, images, model.unit).clamp(0, 1).to(images)


@register("eldiffpure")
@dataclass(frozen=True)
class EmptyLatentDiffPure(LatentDiffPure):
    """The same under the empty prompt (DiffShortcut's "eldiffp"): no guidance, half the cost."""

    prompt: str = ""
