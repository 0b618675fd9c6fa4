"""Pictures in whatever form they come at a door: they become float32 NCHW in [0, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError, WrongType
from .checks import check_images
from .levels import from_pixels
from .reading import upright_rgb

WANTED = "(n, 3, H, W) float32 in [0, 1], uint8 arrays (H, W, 3), PIL pictures, or a list of them"


def to_batch(pictures: Any, name: str = "images") -> Tensor:
    """A batch of pictures, (n, 3, H, W) float32 in [0, 1].

    Args:
        pictures: such a batch, which is handed back as it is, without its gradient; a uint8 array
            (H, W, 3) or (n, H, W, 3); a PIL picture, which is read as its file would be; or a list
            of single pictures of one size, each of these or a tensor (3, H, W).
        name: what the messages call it.

    Raises:
        UserError: something else, several sizes, or values out of range.
    """
    if isinstance(pictures, Tensor):
        pictures = pictures.detach() if pictures.requires_grad else pictures
        return check_images(pictures, name)
    if isinstance(pictures, np.ndarray) and pictures.ndim == 4:
        pictures = list(pictures)
    if isinstance(pictures, (Image.Image, np.ndarray)):
        pictures = [pictures]
    if not isinstance(pictures, (list, tuple)) or not pictures:
        raise _other(pictures, name)
    each = [_single(picture, name) for picture in pictures]
    sizes = sorted({tuple(picture.shape[1:]) for picture in each})
    if len(sizes) > 1:
        listed = ", ".join(f"{high} x {wide}" for high, wide in sizes)
        raise UserError(f"{name} must be of one size; got {listed}")
    return check_images(torch.stack(each), name)


def _single(picture: Any, name: str) -> Tensor:
    """One picture as (3, H, W) float32."""
    if isinstance(picture, Tensor) and picture.ndim == 3:
        return picture
    if isinstance(picture, Image.Image):
        picture = np.array(upright_rgb(picture))
    if isinstance(picture, np.ndarray):
        if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            return from_pixels(picture)
        raise UserError(
            f"an array of {name} must be uint8 (H, W, 3); got {picture.dtype} {picture.shape}"
        )
    raise _other(picture, name, "a list with ")


def _other(thing: Any, name: str, within: str = "") -> WrongType:
    """The error for a thing of another type; for a path it says which function reads it."""
    path = isinstance(thing, str | Path)
    remedy = ". lab.pictures(folder) reads a folder of files" if path else ""
    return WrongType(f"{name} must be {WANTED}; got {within}{type(thing).__name__}{remedy}")
