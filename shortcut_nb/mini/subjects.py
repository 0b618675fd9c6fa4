"""Synthetic subjects of the miniature: twelve pictures of one identity, in three sets."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .avatars import SPLITS, draw, first_nuisance, identity, nuisance

PICTURES = 4  # of a set


def subject_sets(source: str, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sets A, B and C of "mini:SPLIT/INDEX", each (4, 3, size, size) in [0, 1].

    Raises:
        UserError: for a name that is not of this form.
    """
    match = re.fullmatch(r"mini:([a-z-]+)/(\d+)", source)
    if match is None or match[1] not in SPLITS:
        raise UserError(
            f"a synthetic subject is named mini:SPLIT/INDEX with a split of {', '.join(SPLITS)}, "
            f"for example mini:held-out/3; got {source!r}"
        )
    split, index = match[1], int(match[2])
    person = identity(split, index)
    first = first_nuisance(split, index)
    drawn = [draw(person, nuisance(first + k), size) for k in range(3 * PICTURES)]
    # Not from_pixels: another layout in memory, and sums would be rounded otherwise.
    images = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255
    a, b, c = images.split(PICTURES)
    return a, b, c
