"""Class pictures of a profile's models: drawn once, and kept where a store says."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .opened import Opened

if TYPE_CHECKING:
    from torch import Tensor

    from ..diffusion import Diffusion
    from ..latents import Latents
    from .class_pictures import ClassPictures


class Drawing(Opened):
    """Models that draw pictures of their class before they are fine-tuned."""

    @cached_property
    def _priors(self) -> dict[tuple[Any, ...], Latents]:
        return {}

    def prior_latents(
        self,
        class_prompt: str,
        class_images: int | str,
        model: Diffusion | None = None,
        *,
        steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> Latents:
        """Latents of class pictures, made once: sampled from the model itself, or one's own.

        Sampled ones are never decoded: prior preservation trains on latents.

        Args:
            class_images: how many to sample, or a folder of pictures.
            model: None is the profile's text-to-image model; otherwise one of :attr:`ensemble`.
            steps, guidance_scale: of the sampling; None are the profile's.

        Raises:
            UserError: a folder without pictures, or another model.
        """
        from ..images import load_folder
        from ..latents import class_digest, latents_of

        model = model or self.diffusion
        role = self._role_of(model)
        if isinstance(class_images, str):
            key: Any = (class_digest(class_images), role)
            if key not in self._priors:
                own, _ = load_folder(class_images, model.resolution)
                self._priors[key] = latents_of(model, own)
        else:
            key = self.class_pictures(class_prompt, class_images, role, steps, guidance_scale)
            if key not in self._priors:
                self._priors[key] = self._class_latents(key)
        return self._priors[key]

    def class_pictures(
        self,
        prompt: str,
        n: int,
        role: str = "diffusion",
        steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> ClassPictures:
        """How class pictures are drawn here; None are the profile's settings. Opens no model."""
        from .class_pictures import ClassPictures

        own = self.profile
        steps = own.sampling.steps if steps is None else steps
        scale = own.prior_guidance_scale if guidance_scale is None else guidance_scale
        return ClassPictures(prompt, n, steps, scale, role)

    def draw_class_pictures(self, drawn: ClassPictures) -> Tensor:
        """Latents of class pictures, (n, c, h, w), drawn anew; see :meth:`prior_latents`."""
        model = self.diffusion if drawn.role == "diffusion" else self.ensemble[drawn.role]
        show = self.hooks.progress
        with show("class pictures") if show else nullcontext() as on_step:
            latents = model.sample_latents(
                drawn.prompt,
                drawn.n,
                seed=drawn.seed,
                steps=drawn.steps,
                guidance_scale=drawn.guidance_scale,
                on_step=on_step,
            )
        return latents.clone()

    def _class_latents(self, drawn: ClassPictures) -> Latents:
        import torch

        from ..latents import Latents

        give = self.hooks.class_pictures or self.draw_class_pictures
        latents = give(drawn).to(self.device)
        return Latents(latents, torch.zeros_like(latents))

    def _role_of(self, model: Diffusion) -> str:
        if model is self.diffusion:
            return "diffusion"
        for name, one in self.ensemble.items():
            if one is model:
                return name
        raise UserError("the model is not the profile's, nor one of its ensemble")
