"""Files like a person's photos, with drawn people: of several shapes and sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..files import write_json
from ..files.outputs import check_output
from .avatars import SPLITS, draw, identity, nuisance

SHAPES = ((240, 240), (320, 240), (256, 256), (240, 300))


def write_photos(folder: str | Path, index: int = 0, split: str = "held-out") -> Path:
    """Write four pictures of one drawn person as PNG files of different sizes.

    Args:
        folder: made when missing; earlier ones are replaced.
        index, split: which person; see :func:`shortcut_nb.mini.avatars.identity`.

    Returns:
        The folder.
    """
    output = check_output(folder, "photos.json", force=True)
    first = (SPLITS.index(split) + 1) * 100_000_000 + index * 1000
    with output.filling() as fresh:
        for number, (wide, high) in enumerate(SHAPES):
            side = min(wide, high)
            square = draw(identity(split, index), nuisance(first + 4 + number), side)
            across, down = (wide - side) // 2, (high - side) // 2
            around = ((down, high - side - down), (across, wide - side - across), (0, 0))
            Image.fromarray(np.pad(square, around, mode="edge")).save(fresh / f"photo{number}.png")
        write_json(fresh / "photos.json", {"files": sorted(path.name for path in fresh.iterdir())})
    return output.folder
