"""The target picture of targeted attacks: a tiled high-contrast glyph of our own drawing.

Mist (Liang & Wu 2023) found that such a texture, fine and of full contrast, transfers well.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..diffusion import Diffusion

# One glyph, 8 × 8: a ring, a dot and a broken bar, so that it has no symmetry to hide behind.
GLYPH = (
    ".######.",
    "#......#",
    "#.##...#",
    "#.##.#.#",
    "#....#.#",
    "#......#",
    ".######.",
    "...##...",
)
TILES = 4
"""Glyphs along a side."""


def target_image(high: int, wide: int) -> Tensor:
    """(1, 3, high, wide) in [0, 1]: the glyph black on white, :data:`TILES` times each way."""
    glyph = torch.tensor([[0.0 if c == "#" else 1.0 for c in row] for row in GLYPH])
    tiled = glyph.repeat(TILES, TILES)[None, None]
    drawn = torch.nn.functional.interpolate(tiled, (high, wide), mode="nearest")
    return drawn.expand(1, 3, -1, -1).clone()


@torch.no_grad()
def target_latents(model: Diffusion, images: Tensor) -> Tensor:
    """Scaled posterior mean of the target picture at the size of some pictures, (1, c, h, w)."""
    return model.posterior(target_image(*images.shape[-2:]))[0]
