"""Synthetic subjects of the miniature: twelve pictures of one identity, in three sets."""

from __future__ import annotations

import re

import numpy as np
from torch import Tensor

from ..errors import UserError
from ..images import from_pixels
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
    a, b, c = from_pixels(np.stack(drawn)).split(PICTURES)
    return a, b, c
