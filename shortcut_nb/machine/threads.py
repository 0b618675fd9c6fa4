"""Torch's number of threads, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads_put_back() -> Iterator[None]:
    """After the block torch has as many threads as before, whatever sets another number in it."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Set torch's number of threads for the block; None leaves it."""
    if threads is None:
        yield
        return
    import torch

    with threads_put_back():
        torch.set_num_threads(threads)
        yield
