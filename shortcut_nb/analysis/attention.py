"""Which pixels a word speaks to: cross-attention maps by token (DAAM, Tang et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.attention_processor import (
    Attention,
    AttnProcessor,
    CustomDiffusionAttnProcessor,
    CustomDiffusionAttnProcessor2_0,
    CustomDiffusionXFormersAttnProcessor,
)
from torch import Tensor
from torch.nn.functional import interpolate

from ..diffusion import Diffusion
from ..diffusion.tokens import plain_ids
from ..errors import UserError

TIMESTEPS = (100, 300, 500, 700)
"""Those to which :func:`token_maps` noises pictures; the noise has :data:`SEED`."""
SEED = 0
OWN_PROJECTIONS = (
    CustomDiffusionAttnProcessor,
    CustomDiffusionAttnProcessor2_0,
    CustomDiffusionXFormersAttnProcessor,
)
"""Processors that keep projections of their own."""


@dataclass(eq=False)
class Maps:
    """Attention probabilities summed as they come: over heads, layers and calls."""

    size: int
    total: Tensor | None = None
    calls: int = 0

    def add(self, probabilities: Tensor, batch: int) -> None:
        """Add one layer's (batch · heads, pixels, tokens); pixels form a square."""
        heads = probabilities.shape[0] // batch
        each = probabilities.float().unflatten(0, (batch, heads)).mean(1)
        side = int(each.shape[1] ** 0.5)
        shaped = each.transpose(1, 2).unflatten(2, (side, side))
        grown = interpolate(shaped, (self.size, self.size), mode="bilinear").cpu()
        self.total = grown if self.total is None else self.total + grown
        self.calls += 1

    @property
    def mean(self) -> Tensor:
        """(batch, tokens, size, size), probabilities averaged over all that was added.

        Raises:
            RuntimeError: when the UNet was never called.
        """
        if self.total is None:
            raise RuntimeError("no attention was recorded: call the UNet inside recorded(...)")
        return self.total / self.calls


@contextmanager
def _listening(attn: Attention, listen: Callable[[Tensor], None]) -> Iterator[None]:
    """Tell of the probabilities (batch · heads, pixels, tokens) that a layer computes inside."""
    scores = attn.get_attention_scores

    def overheard(*given: Any) -> Tensor:
        probabilities = scores(*given)
        listen(probabilities)
        return probabilities

    vars(attn)["get_attention_scores"] = overheard
    try:
        yield
    finally:
        del vars(attn)["get_attention_scores"]


@dataclass(eq=False)
class Recorder:
    """diffusers' plain attention processor, which computes what the fused one does, and keeps the
    map.

    ``original`` is the processor whose place it takes: Custom Diffusion keeps its trained
    projections there, and not in the layer.
    """

    maps: Maps = field(repr=False)
    original: object = field(default=None, repr=False)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        given = (attn, hidden_states, encoder_hidden_states, attention_mask)
        batch = len(hidden_states)
        with _listening(attn, lambda each: self.maps.add(each.detach(), batch)):
            if isinstance(self.original, OWN_PROJECTIONS):
                return CustomDiffusionAttnProcessor.__call__(self.original, *given)
            return AttnProcessor()(*given, temb)


@contextmanager
def recorded(model: Diffusion) -> Iterator[Maps]:
    """Record every cross-attention of the UNet inside; its processors are put back afterwards.

    Maps have the side of the model's latents.
    """
    unet = model.pipe.unet
    maps = Maps(model.resolution // model.latent_unit)
    before = unet.attn_processors
    unet.set_attn_processor(
        {
            name: Recorder(maps, processor) if name.endswith("attn2.processor") else processor
            for name, processor in before.items()
        }
    )
    try:
        yield maps
    finally:
        unet.set_attn_processor(before)


@torch.no_grad()
def token_maps(
    model: Diffusion,
    images: Tensor,
    prompt: str,
    words: list[str],
) -> dict[str, Tensor]:
    """For each word of a prompt, where in the pictures its tokens are attended to.

    Args:
        images: (n, 3, H, W) in [0, 1]; noised to each of :data:`TIMESTEPS`, over which maps are
            averaged.
        words: parts of the prompt, such as the identifier and the class word.

    Returns:
        word → (n, h, w), the share of attention on the word's tokens, in [0, 1].

    Raises:
        UserError: when a word is not in the prompt, or the pictures are not square.
    """
    high, wide = images.shape[-2:]
    if high != wide:
        raise UserError(f"maps of attention need square pictures; got {high} x {wide}")
    spans = {word: token_span(model, prompt, word) for word in words}
    context = model.embed([prompt]).expand(len(images), -1, -1)
    latents, _ = model.posterior(images)
    draw = torch.Generator().manual_seed(SEED)
    with recorded(model) as maps:
        for t in TIMESTEPS:
            noise = torch.randn(latents.shape, generator=draw)
            model.predict(latents, torch.full((len(images),), t), noise, context)
    return {word: maps.mean[:, span].sum(1) for word, span in spans.items()}


def drawn_maps(
    model: Diffusion,
    prompt: str,
    words: list[str],
    n: int,
    *,
    seed: int = 0,
    steps: int = 25,
    guidance_scale: float = 7.5,
    negative: str = "",
) -> tuple[Tensor, dict[str, Tensor]]:
    """Samples of a prompt, and where each word was attended to while they were drawn.

    DAAM proper: the mean over heads, layers of every resolution, and all denoising steps. With
    guidance, only the prompt's half of the batch counts.

    Returns:
        Pictures (n, 3, H, W) in [0, 1]; word → (n, h, w), shares of attention in [0, 1].

    Raises:
        UserError: when a word is not in the prompt.
    """
    spans = {word: token_span(model, prompt, word) for word in words}
    with recorded(model) as maps:
        latents = model.sample_latents(
            prompt,
            n,
            seed=seed,
            steps=steps,
            guidance_scale=guidance_scale,
            negative=negative,
            batch=n,
        )
    mean = maps.mean[-n:]  # the negative prompt's rows come first
    return model.decode(latents), {word: mean[:, span].sum(1) for word, span in spans.items()}


def token_span(model: Diffusion, prompt: str, word: str) -> list[int]:
    """The positions of a word's tokens in the tokenised prompt, counted with the start token.

    Raises:
        UserError: when the word's tokens do not follow each other in the prompt.
    """
    every = model.token_ids([prompt])[0].tolist()
    part = plain_ids(model.pipe, model.pipe.tokenizer, word)
    for start in range(len(every) - len(part) + 1):
        if every[start : start + len(part)] == part:
            return list(range(start, start + len(part)))
    raise UserError(f"{word!r} is not a word of the prompt {prompt!r}")
