"""Room on a disk that results take at least, as far as it is known before the work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

_SHARE = 0.25
"""Of its pixels' bytes that a photo takes at least as PNG; noise takes all of them."""
_CHANNELS = 3
_MOMENTS = 3
"""Copies of what is trained in a checkpoint: the weights, and AdamW's two moments."""


def photo_bytes(paths: Iterable[Path]) -> int:
    """Bytes of photos of the same sizes as PNG; the sizes are read from the files' heads.

    A file that cannot be opened counts nothing: whoever reads it says what is wrong with it.
    """
    total = 0
    for path in paths:
        try:
            with Image.open(path) as opened:
                total += square_bytes(1, *opened.size)
        except Exception:
            continue
    return total


def square_bytes(count: int, wide: int, high: int | None = None) -> int:
    """Bytes of pictures of one size as PNG; squares where no height is given."""
    return int(count * wide * (wide if high is None else high) * _CHANNELS * _SHARE)


def checkpoint_bytes(trained: int) -> int:
    """Bytes of a training's checkpoint; ``trained`` are those of what it trains."""
    return _MOMENTS * trained
