"""Stable Diffusion XL (Podell et al. 2023): two text encoders, pooled and size conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from torch import Tensor
from torch.nn import Module, ModuleDict
from torch.nn.functional import pad

from .backbone import Diffusion, full


@dataclass(frozen=True, eq=False)
class StableDiffusionXL(Diffusion):
    """A prompt's state is its token states and one more row, (length + 1, width).

    The last row holds the second encoder's pooled state, filled up with zeros, so that a state is
    one tensor here as elsewhere. The UNet is also told the size of the picture: as large as what
    it is given, and not cropped.
    """

    editor = StableDiffusionXLImg2ImgPipeline

    @property
    def text(self) -> Module:
        """Both text encoders as one module."""
        return ModuleDict(self.encoders)

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Token states of both encoders side by side, and the pooled row: (k, length + 1, width).

        States are those of the last layer but one, and all zeros for the empty prompt, as the model
        was trained on.
        """
        states: list[Tensor] = []
        pooled = torch.empty(0)  # the second encoder's, which comes last
        for name, encoder in self.encoders.items():
            out = encoder(self.token_ids(prompts, name), output_hidden_states=True)
            states.append(full(out.hidden_states[-2]))
            pooled = full(out[0])
        joined = torch.cat(states, dim=-1)
        row = pad(pooled, (0, joined.shape[-1] - pooled.shape[-1]))
        state = torch.cat([joined, row[:, None]], dim=1)
        if self.pipe.config.get("force_zeros_for_empty_prompt", True):
            state = state * torch.tensor([prompt != "" for prompt in prompts])[:, None, None].to(
                state
            )
        return state

    def conditions(self, context: Tensor, latents: Tensor) -> dict[str, Any]:
        states, pooled = self.parted(context)
        high, wide = (side * self.latent_unit for side in latents.shape[-2:])
        sizes = torch.tensor([[high, wide, 0, 0, high, wide]], device=context.device)
        added = {
            "text_embeds": pooled,
            "time_ids": sizes.to(context.dtype).expand(len(context), -1),
        }
        return {"encoder_hidden_states": states, "added_cond_kwargs": added}

    def prompt_arguments(self, prompt: Tensor, negative: Tensor) -> dict[str, Any]:
        states, pooled = self.parted(prompt)
        empty, empty_pooled = self.parted(negative)
        return {
            "prompt_embeds": states,
            "pooled_prompt_embeds": pooled,
            "negative_prompt_embeds": empty,
            "negative_pooled_prompt_embeds": empty_pooled,
        }

    def parted(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Token states (k, length, width) and pooled states (k, d) of :meth:`embed`'s tensor."""
        width = self.pipe.text_encoder_2.config.projection_dim
        return context[:, :-1], context[:, -1, :width]
