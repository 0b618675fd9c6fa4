"""Rank correlation of attention maps with maps of noise: does a word attend to the noise?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..errors import UserError
from ..images import check_images
from ..metrics.texture import residual


def local_energy(change: Tensor, size: int) -> Tensor:
    """Where a perturbation is strong: its root mean square in each of size × size windows.

    Args:
        change: (n, c, H, W), a difference of pictures.

    Returns:
        (n, size, size), not negative, in the units of ``change``.
    """
    square = change.detach().float().square().mean(1, keepdim=True)
    return adaptive_avg_pool2d(square, size).squeeze(1).sqrt()


def texture_map(images: Tensor, size: int) -> Tensor:
    """Where pictures have fine texture: :class:`shortcut_nb.metrics.Texture` in each window.

    The median over a window's pixels, so that the edges of a drawing hardly count.

    Args:
        images: (n, 3, H, W) in [0, 1], sides a multiple of ``size``.

    Returns:
        (n, size, size), grey levels.

    Raises:
        UserError: sides that are not a multiple of ``size``.
    """
    n, _, high, wide = check_images(images).shape
    if high % size or wide % size:
        raise UserError(f"expected sides that are a multiple of {size}; got {high} × {wide}")
    tiles = residual(images).reshape(n, size, high // size, size, wide // size).swapaxes(2, 3)
    return torch.from_numpy(np.median(tiles.reshape(n, size, size, -1), axis=-1)).float()


def overlap(maps: Mapping[str, Tensor], where: Tensor) -> pd.DataFrame:
    """Rank correlation over places of each word's attention with a map of the noise.

    One map alone says little, since attention and texture both depend on what is shown: compare
    words with each other.

    Args:
        maps: word → (n, h, w), from :mod:`shortcut_nb.analysis.attention`.
        where: (n, h, w), from :func:`local_energy` or :func:`texture_map`.

    Returns:
        One row per word and picture: ``word``, ``image``, ``correlation`` (Spearman's, in
        [-1, 1]; NaN where a map is the same everywhere).

    Raises:
        UserError: maps of other shapes.
    """
    rows = []
    for word, attended in maps.items():
        if attended.shape != where.shape:
            raise UserError(
                f"expected maps of {word!r} of shape {tuple(where.shape)}; got "
                f"{tuple(attended.shape)}: make the noise map at the size of the attention maps"
            )
        for i, (one, two) in enumerate(zip(attended.flatten(1), where.flatten(1), strict=True)):
            flat = float(one.std()) < 1e-12 or float(two.std()) < 1e-12
            value = float("nan") if flat else float(spearmanr(one.cpu(), two.cpu()).statistic)
            rows.append({"word": word, "image": i, "correlation": value})
    return pd.DataFrame(rows)
