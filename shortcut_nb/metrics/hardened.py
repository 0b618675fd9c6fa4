"""Whose face it is, to an encoder that looks through noise: is a person gone, or hidden?"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .base import Column
from .identity import IdentityEncoder

COLUMNS = {
    "ims_hardened": Column("identity match, looking through noise", better="higher"),
}
MEASURE = "identity-hardened"
"""What a profile calls the encoder, among its measures."""


def match(encoder: IdentityEncoder, images: Tensor, references: Tensor) -> np.ndarray:
    """The cosine in [-1, 1] of each picture to the mean of the person's clean pictures.

    Args:
        encoder: trained on pictures of which a share is degraded, so that noise over a face hides
            less of it than it hides from :class:`.identity.IdentityEncoder`.
        images: (n, 3, H, W) float32 in [0, 1].
        references: clean pictures of the person, (m, 3, H, W).

    Returns:
        float64 (n,).
    """
    cosine = encoder(images) @ encoder.mean(references)
    return cosine.clamp(-1, 1).numpy().astype(np.float64)
