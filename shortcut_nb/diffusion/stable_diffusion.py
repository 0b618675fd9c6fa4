"""Stable Diffusion 1.x and 2.x, and the miniature: one text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffusers import StableDiffusionImg2ImgPipeline
from torch import Tensor

from .backbone import Diffusion, full


@dataclass(frozen=True, eq=False)
class StableDiffusion(Diffusion):
    """A prompt's state is its token states, (length, width)."""

    editor = StableDiffusionImg2ImgPipeline

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Text-encoder states (k, length, width); gradients flow if its weights want them."""
        ids = self.token_ids(prompts)
        return full(self.pipe.text_encoder(ids)[0])

    def conditions(self, context: Tensor, latents: Tensor) -> dict[str, Any]:
        return {"encoder_hidden_states": context}

    def prompt_arguments(self, prompt: Tensor, negative: Tensor) -> dict[str, Any]:
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}
