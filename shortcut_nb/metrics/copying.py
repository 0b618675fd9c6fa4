"""Whether a model repeats what it was shown: likeness to its nearest training picture, and how
far its samples are from each other.

Memorising shows as the first rising and the second falling.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Column
from .faithfulness import WINDOW, ssim

COLUMNS = {
    "copies": Column("likeness to the nearest training picture (SSIM)", better="lower"),
    "diversity": Column("distance to the other samples (CLIP)", better="higher"),
}


def nearest(images: Tensor, trained_on: Tensor) -> np.ndarray:
    """SSIM of each picture to the most similar picture trained on, (n,), in [-1, 1].

    Args:
        images: (n, 3, H, W) in [0, 1].
        trained_on: (m, 3, H, W) in [0, 1].

    Returns:
        NaN where the sizes differ or a side is under SSIM's window of 11 pixels.
    """
    if images.shape[-2:] != trained_on.shape[-2:] or min(images.shape[-2:]) < WINDOW:
        return np.full(len(images), np.nan)
    each = [ssim(images, one.expand_as(images)) for one in trained_on]
    return np.max(each, axis=0)


def spread(embeddings: Tensor) -> np.ndarray:
    """Mean cosine distance of each embedding (n, d) to the others, (n,); NaN for a single one."""
    vectors = F.normalize(embeddings.detach().double().cpu(), dim=1)
    n = len(vectors)
    if n < 2:
        return np.full(n, np.nan)
    # Half the squared distance of unit vectors: 1 − cosine, and exact where they are nearly equal.
    exact = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(vectors, vectors, compute_mode=exact).square() / 2
    return (distances.sum(1) / (n - 1)).numpy()
