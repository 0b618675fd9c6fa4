"""Photo files, and the squares of them that a model sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError
from ..files import expand
from ..files.pictures import list_folder, set_b, stems_of
from ..images import from_pixels, open_rgb
from ..images.checks import SMALLEST
from ..templates import counted

Square = tuple[int, int, int]


@dataclass(frozen=True)
class Photo:
    """A photo file, and the squares of it that a model sees.

    A square has the photo's shorter side. An elongated photo takes several along the longer side,
    as few as cover all of it, evenly spaced; a square one takes one.

    Args:
        path: the file; it is read anew whenever it is needed and never kept in memory.
        size: (width, height) in pixels, upright (EXIF orientation applied).
        squares: (left, top, side) in pixels of the upright photo.
    """

    path: Path
    size: tuple[int, int]
    squares: tuple[Square, ...]

    @classmethod
    def open(cls, path: str | Path) -> Photo:
        """A photo with its squares.

        Raises:
            UserError: no readable picture, or a side below 8 pixels.
        """
        path = expand(path, "the photo")
        wide, high = open_rgb(path).size
        if min(wide, high) < SMALLEST:
            raise UserError(
                f"{path} is {wide} x {high} pixels; at least {SMALLEST} x {SMALLEST} are needed. "
                "Use a larger picture."
            )
        return cls(path, (wide, high), tuple(covering(wide, high)))

    def pixels(self) -> np.ndarray:
        """The upright photo, (height, width, 3) uint8."""
        return np.array(open_rgb(self.path))

    def seen(self, side: int) -> Tensor:
        """The squares as a model sees them: (k, 3, side, side) float32, on the 8-bit grid."""
        picture = open_rgb(self.path)
        parts = []
        for left, top, edge in self.squares:
            box = (left, top, left + edge, top + edge)
            small = picture.resize((side, side), Image.Resampling.LANCZOS, box=box)
            parts.append(from_pixels(np.array(small)))
        return torch.stack(parts)


def covering(wide: int, high: int) -> Iterator[Square]:
    """Squares of the shorter side that cover all pixels, along the longer side."""
    edge, length = min(wide, high), max(wide, high)
    count = -(-length // edge)
    for number in range(count):
        start = round((length - edge) * number / max(count - 1, 1))
        yield (start, 0, edge) if wide >= high else (0, start, edge)


@dataclass(frozen=True)
class Photos:
    """The photos of a folder, sorted by name.

    Attributes:
        remarks: what was left out of the folder and why; "" for nothing.
    """

    photos: tuple[Photo, ...]
    remarks: str = ""

    @classmethod
    def open(cls, folder: str | Path) -> Photos:
        """The photos directly in a folder; of a folder with set_A, set_B and set_C, set B.

        Raises:
            MissingFile, UserError: no folder, no photo, one that cannot be read, or two whose names
                differ in their endings alone.
        """
        place = expand(folder, "the folder of photos")
        listing = list_folder(set_b(place))
        stems_of(listing.names)
        return cls(tuple(Photo.open(path) for path in listing.files), listing.remarks())

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def names(self) -> list[str]:
        """The file names."""
        return [photo.path.name for photo in self.photos]

    def seen(self, side: int) -> Tensor:
        """All squares of all photos, (n, 3, side, side) float32 in [0, 1], photo after photo."""
        return torch.cat([photo.seen(side) for photo in self.photos])

    def split(self, rows: Tensor) -> list[Tensor]:
        """What belongs to each photo, of anything with one row for each square."""
        return list(rows.split([len(photo.squares) for photo in self.photos]))

    def describe(self, side: int) -> str:
        """In words: how many photos of which sizes, and how the model sees them."""
        sizes = sorted({photo.size for photo in self.photos}, reverse=True)
        named = ", ".join(f"{wide} x {high}" for wide, high in sizes[:4])
        more = f" and {counted(len(sizes) - 4, 'further size')}" if len(sizes) > 4 else ""
        count = sum(len(photo.squares) for photo in self.photos)
        return (
            f"{counted(len(self), 'photo')} ({named}{more}), seen by the model as "
            f"{counted(count, 'square')} of {side} x {side}{self.remarks}"
        )
