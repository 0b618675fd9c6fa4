"""The rows of a pass through the UNet, and how a term of the loss is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a pass through the UNet.

    Attributes:
        latents, noise: (n, c, h, w).
        t: timesteps, (n,).
        prompts: one or more, in the order of their rows.
        counts: how many consecutive rows each prompt is for; their sum is n.
    """

    latents: Tensor
    noise: Tensor
    t: Tensor
    prompts: list[str]
    counts: list[int]

    def to(self, device: torch.device) -> Rows:
        """The same rows with their tensors on a device."""
        return replace(
            self,
            latents=self.latents.to(device),
            noise=self.noise.to(device),
            t=self.t.to(device),
        )


@dataclass(frozen=True, eq=False)
class LossTerm:
    """A term of the loss.

    Attributes:
        rows: what of the pass through the UNet is its own.
        reduce: from the denoising loss of each of these rows, (n,), to the term, a scalar that
            holds its weight already.
    """

    rows: Rows
    reduce: Callable[[Tensor], Tensor]


def without_prompt(share: float, count: int, generator: Generator) -> int:
    """How many of ``count`` class pictures go without a prompt: a share of them, on average.

    Draws a number only where the share of ``count`` is not whole.
    """
    wanted = share * count
    whole = int(wanted)
    if wanted == whole:
        return whole
    return whole + int(torch.rand(1, generator=generator).item() < wanted - whole)
