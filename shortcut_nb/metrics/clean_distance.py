"""How far samples are from those of training on clean pictures, by an encoder of identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .base import Column
from .identity import IdentityEncoder
from .sample_probes import SAMPLE_PROBES, SampleProbe

COLUMN = "apart"


def distance_to(encoder: IdentityEncoder, images: Tensor, references: Tensor) -> np.ndarray:
    """Each picture's mean distance to the references, in units of their distance to each other.

    1 is what another sample of the references' model has; 2 is twice as far. Distances are of the
    encoder's unit vectors, Euclidean. A reference's distance to itself, zero, counts on both sides:
    samples are drawn from the same starting noise as the references, so that each has a partner
    among them, and a training that changes nothing is to have 1 exactly.

    Args:
        images: (n, 3, H, W) float32 in [0, 1].
        references: (m, 3, H, W) with m ≥ 2: samples of the model trained on clean pictures.

    Returns:
        float64 (n,).

    Raises:
        UserError: fewer than two references.
    """
    if len(references) < 2:
        raise UserError(
            f"expected at least 2 reference pictures to know how far apart they are; "
            f"got {len(references)}: draw more samples"
        )
    points, others = encoder(images).double(), encoder(references).double()
    # The direct formula: the fast one rounds the distance of a point to itself.
    exact = "donot_use_mm_for_euclid_dist"
    own = torch.cdist(others, others, compute_mode=exact)
    distance = torch.cdist(points, others, compute_mode=exact)
    return (distance.mean(1) / own.mean()).numpy()


def clean_distance(models: Any, images: Tensor, references: Tensor) -> dict[str, list[float]]:
    """:func:`distance_to` by the profile's encoder of identity."""
    return {COLUMN: distance_to(models.identity, images, references).tolist()}


SAMPLE_PROBES.add(
    "apart",
    SampleProbe(
        clean_distance,
        roles=("identity",),
        columns={
            COLUMN: Column("distance to clean training's samples, 1 = their own", better="lower")
        },
        references="clean training",
        settings={"itself": "counted"},
    ),
)
