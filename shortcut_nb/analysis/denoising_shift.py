"""Mismatch of picture and prompt as the diffusion model itself sees it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from torch import Tensor

from ..diffusion import Diffusion
from .encoder_shift import check_matched
from .timesteps import timestep_losses

TIMESTEPS = (50, 150, 300, 450, 600, 750, 900)


def denoising_shift(
    model: Diffusion,
    images: Tensor,
    clean: Tensor,
    prompt: str,
    *,
    timesteps: Sequence[int] = TIMESTEPS,
    draws: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """What a change of pictures does to the denoising loss, with and without the prompt.

    A prompt that fits lowers the loss: conditional minus unconditional is negative. If the pair of
    picture and prompt no longer fits, this difference rises. Both sets of pictures are noised with
    the same draws (common random numbers), so that only the change of the picture is left.

    Args:
        images, clean: (n, 3, H, W) in [0, 1], row by row the same.

    Returns:
        One row per picture and timestep, means over draws: ``image``, ``timestep``; ``misled``, the
        rise of conditional minus unconditional loss (positive: the prompt fits less well);
        ``loss``, the rise of the conditional loss (positive: harder to denoise, fit or not).

    Raises:
        UserError: numbers of pictures that differ.
    """
    check_matched(images, clean)
    before, after = (
        timestep_losses(model, x, prompt, timesteps=timesteps, draws=draws, seed=seed)
        for x in (clean, images)
    )
    place = ["image", "timestep"]
    rise = after[place].assign(
        misled=after["mismatch"] - before["mismatch"],
        loss=after["conditional"] - before["conditional"],
    )
    return rise.groupby(place, as_index=False)[["misled", "loss"]].mean()
