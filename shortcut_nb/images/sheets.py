"""A sheet of pictures, in rows."""

from __future__ import annotations

import math

from PIL import Image
from torch import Tensor

from ..errors import UserError
from .checks import check_images
from .levels import to_picture


def contact_sheet(images: Tensor, columns: int = 4, gap: int = 2) -> Image.Image:
    """Lay the pictures out in rows of `columns`, `gap` white pixels apart.

    Args:
        images: (N, 3, H, W) in [0, 1].

    Raises:
        ValueError: when `columns` is below 1, or `gap` below 0.
    """
    check_images(images)
    if columns < 1:
        raise UserError(f"expected at least 1 column; got {columns}.")
    if gap < 0:
        raise UserError(f"expected a gap of at least 0 pixels; got {gap}.")
    n, _, height, width = images.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    sheet_size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new("RGB", sheet_size, "white")
    for i, image in enumerate(images):
        sheet.paste(
            to_picture(image), ((i % columns) * (width + gap), (i // columns) * (height + gap))
        )
    return sheet
