"""Files like a person's photos, with drawn people: of several shapes and sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..files import write_json
from ..files.outputs import check_output
from .avatars import draw, first_nuisance, identity, nuisance
from .subjects import PICTURES

PERSON = ("held-out", 0)
"""Split and number of the person whose photos they are."""
SHAPES = ((240, 240), (320, 240), (256, 256), (240, 300))


def write_photos(folder: str | Path) -> Path:
    """Write set B of :data:`PERSON` as PNG files of different sizes.

    Args:
        folder: made when missing; earlier ones are replaced.

    Returns:
        The folder.
    """
    output = check_output(folder, "photos.json", force=True)
    split, index = PERSON
    first = first_nuisance(split, index) + PICTURES  # after set A's
    with output.filling() as fresh:
        for number, (wide, high) in enumerate(SHAPES):
            side = min(wide, high)
            square = draw(identity(split, index), nuisance(first + number), side)
            across, down = (wide - side) // 2, (high - side) // 2
            around = ((down, high - side - down), (across, wide - side - across), (0, 0))
            Image.fromarray(np.pad(square, around, mode="edge")).save(fresh / f"photo{number}.png")
        write_json(fresh / "photos.json", {"files": sorted(path.name for path in fresh.iterdir())})
    return output.folder
