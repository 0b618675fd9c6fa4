"""Pictures of a folder: all are read, or all are written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import expand, writing
from ..files.pictures import Listing, list_folder, stems_of
from ..templates import counted
from .checks import check_images
from .levels import to_picture
from .reading import load_picture

log = logging.getLogger("shortcut_nb")


def read_folder(path: str | Path, size: int) -> tuple[Tensor, Listing]:
    """Read every picture of a folder, sorted by file name.

    Returns:
        (N, 3, size, size) float32 in [0, 1], and which files they are and which were left out.

    Raises:
        MissingFile: when the folder is missing or holds no picture.
        UserError: when one of its pictures cannot be read.
    """
    listing = list_folder(path)
    return torch.stack([load_picture(file, size) for file in listing.files]), listing


def load_folder(path: str | Path, size: int) -> tuple[Tensor, list[str]]:
    """Read every picture of a folder, sorted by file name; says what it used in one log line.

    Returns:
        (N, 3, size, size) float32 in [0, 1], and the N file names.

    Raises:
        MissingFile, UserError: see :func:`read_folder`.
    """
    images, listing = read_folder(path, size)
    level = logging.WARNING if listing.left_out else logging.INFO
    log.log(
        level,
        "%s: %s, each cut to its central square, %d x %d%s",
        listing.folder,
        counted(len(images), "picture"),
        size,
        size,
        listing.remarks(),
    )
    return images, listing.names


def save_folder(
    images: Tensor, folder: str | Path, names: Sequence[str] | None = None
) -> list[Path]:
    """Write each picture as a PNG, atomically; the 8-bit grid survives exactly.

    Args:
        images: (N, 3, H, W) in [0, 1].
        folder: made when missing; a file of the same name is replaced.
        names: N different file names; any ending becomes ".png". Default: 000.png, 001.png, ...

    Raises:
        UserError: when the number of names differs from N, or two names collide.
        CannotWrite: when the system refuses.
    """
    check_images(images)
    stems = [f"{i:03d}" for i in range(len(images))] if names is None else stems_of(names)
    if len(stems) != len(images):
        raise UserError(f"expected {len(images)} names, one per picture; got {len(stems)}.")
    target = expand(folder, "the folder")
    written = []
    for image, stem in zip(images, stems, strict=True):
        written.append(target / f"{stem}.png")
        with writing(written[-1]) as fresh:
            to_picture(image).save(fresh, format="PNG")
    return written
