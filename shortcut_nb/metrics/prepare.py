"""Pictures as the metrics' networks take them: of one size, with normalised colours."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate

HALF = (0.5, 0.5, 0.5)


def prepare(
    images: Tensor, size: int | None, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Resize (n, 3, H, W) in [0, 1] to a square (None: leave it), then (x − mean) / std."""
    if size is not None and tuple(images.shape[-2:]) != (size, size):
        images = interpolate(images, (size, size), mode="bilinear", antialias=True)
    middle, width = (images.new_tensor(v).view(1, 3, 1, 1) for v in (mean, std))
    return (images - middle) / width
