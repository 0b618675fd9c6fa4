"""The shift of pictures in any encoder, along its own axis from clean pictures to noise.

CLIP is one witness. A second one, trained on something else, says whether the shift lies in the
pictures or in CLIP. The autoencoder is a third: it is all that the diffusion model sees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..diffusion import Diffusion
from ..errors import UserError
from ..mini.degradations import pattern
from .clip_shift import along_and_across


def noise_pictures(n: int, size: int, seed: int = 0) -> Tensor:
    """n pictures of nothing but noise, of many kinds, (n, 3, size, size) in [0, 1]."""
    rng = np.random.default_rng(seed)
    drawn = np.stack([pattern("noise", rng, size) for _ in range(n)])
    # Not from_pixels: another layout in memory, and sums would be rounded otherwise.
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def encoder_shift(
    encode: Callable[[Tensor], Tensor],
    images: Tensor,
    clean: Tensor,
    noise: Tensor,
    anchor: Tensor | None = None,
) -> pd.DataFrame:
    """How far an encoder sees pictures move, and how much of it towards pictures of noise.

    Args:
        encode: pictures (n, 3, H, W) in [0, 1] to vectors (n, d), such as ``lab.identity``.
        images, clean: n pictures each, row by row the same.
        noise: any number of noise pictures; their mean embedding is the axis' far end.
        anchor: clean pictures whose mean is its near end; None is ``clean``.

    Returns:
        One row per picture, in the encoder's own units:

        - ``image``: its index; ``shift``: length of the move;
        - ``towards``: along the unit axis, positive towards noise; ``across``: the rest's length;
        - ``share``: ``towards`` over the axis' length (1: as far as the noise pictures are).

    Raises:
        UserError: numbers of pictures that differ, or noise that embeds like the anchor.
    """
    check_matched(images, clean)
    start = encode(clean if anchor is None else anchor).mean(0)
    axis = encode(noise).mean(0) - start
    length = axis.norm()
    if length < 1e-6:
        raise UserError("expected noise pictures that embed unlike the clean ones, got the same")
    moved = encode(images) - encode(clean)
    along, across = along_and_across(moved, axis / length)
    return _frame(shift=moved.norm(dim=-1), towards=along, across=across, share=along / length)


@torch.no_grad()
def latent_shift(model: Diffusion, images: Tensor, clean: Tensor) -> pd.DataFrame:
    """How far pictures move in the autoencoder's latent space.

    Returns:
        One row per picture: ``image``; ``latent``, root mean square change of the posterior mean in
        scaled latents, whose variance over many pictures is about 1; ``spread``, the same of the
        posterior's standard deviation.

    Raises:
        UserError: numbers of pictures that differ.
    """
    check_matched(images, clean)
    changes = [a - b for a, b in zip(model.posterior(images), model.posterior(clean), strict=True)]
    mean, spread = (change.square().flatten(1).mean(1).sqrt() for change in changes)
    return _frame(latent=mean, spread=spread)


def check_matched(images: Tensor, clean: Tensor) -> None:
    """Raise UserError unless there is a clean picture for each."""
    if len(images) != len(clean):
        raise UserError(
            f"expected one clean picture for each of {len(images)}, got {len(clean)}: match them"
        )


def _frame(**columns: Tensor) -> pd.DataFrame:
    arrays = {name: column.cpu().numpy() for name, column in columns.items()}
    return pd.DataFrame({"image": range(len(next(iter(arrays.values())))), **arrays})
