"""Maps as coloured pictures, to stand in rows beside the pictures they belong to."""

from __future__ import annotations

import torch
from matplotlib import colormaps
from torch import Tensor
from torch.nn.functional import interpolate

from .palette import SEQUENTIAL


def heat(maps: Tensor, size: int, top: float | None = None) -> Tensor:
    """Colour maps for :func:`shortcut_nb.plots.image_rows`.

    Args:
        maps: (n, h, w), not negative.
        size: side of the pictures in pixels; maps are enlarged without smoothing.
        top: the value of the lightest colour; None is these maps' largest. Give the same one to
            maps that are compared.

    Returns:
        (n, 3, size, size) float32 in [0, 1].

    Raises:
        ValueError: for other than three dimensions.
    """
    if maps.ndim != 3:
        raise ValueError(f"expected maps (n, h, w), got {tuple(maps.shape)}")
    values = maps.detach().float().cpu() / max(float(maps.max()) if top is None else top, 1e-12)
    grown = interpolate(values.clamp(0, 1)[:, None], (size, size), mode="nearest")[:, 0]
    painted = colormaps[SEQUENTIAL](grown.numpy())[..., :3]
    return torch.from_numpy(painted).permute(0, 3, 1, 2).float()
