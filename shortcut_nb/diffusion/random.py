"""Random numbers of which row i depends on generator i alone, whatever the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def generators(seeds: Sequence[int]) -> list[Generator]:
    """One CPU generator per sample, so that a result does not depend on its batch."""
    return [Generator().manual_seed(int(seed)) for seed in seeds]


def sample_generators(seed: int, n: int, first: int = 0) -> list[Generator]:
    """The generators that n samples of a seed start from; sample i depends on (seed, i) alone.

    Args:
        first: the number of the first sample.
    """
    return generators([seed * 100_003 + first + i for i in range(n)])


def draw_normal(shape: Sequence[int], source: Sequence[Generator]) -> Tensor:
    """(n, *shape) standard normal, row i from generator i."""
    return torch.stack([torch.randn(tuple(shape), generator=g) for g in source])
