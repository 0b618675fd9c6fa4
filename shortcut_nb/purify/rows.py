"""Which pictures a purifier is given: of many, purified a few at a time, it counts from the first.

Picture i of all draws from (seed, i), however they were handed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Generator

from ..diffusion import sample_generators

_FIRST: ContextVar[int] = ContextVar("number of the first picture", default=0)


@contextmanager
def counted_from(first: int) -> Iterator[None]:
    """Number the pictures that purifiers are given in the block from ``first`` on, for seeds."""
    token = _FIRST.set(first)
    try:
        yield
    finally:
        _FIRST.reset(token)


def row_generators(seed: int, count: int) -> list[Generator]:
    """A generator for each of ``count`` pictures; picture i of all draws from (seed, i)."""
    return sample_generators(seed, count, first=_FIRST.get())
