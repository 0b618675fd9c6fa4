"""Grey levels: floats in [0, 1] and the 8 bits of files, there and back."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError


def to_u8(x: Tensor) -> Tensor:
    """Round pictures in [0, 1] to uint8 grey levels of the same shape."""
    return (x.detach() * 255).round().clamp(0, 255).to(torch.uint8)


def from_u8(x: Tensor) -> Tensor:
    """Turn uint8 grey levels into float32 in [0, 1].

    Raises:
        ValueError: when `x` is not uint8.
    """
    if x.dtype != torch.uint8:
        raise UserError(f"expected uint8 grey levels; got {x.dtype}. Call to_u8 for floats.")
    return x.to(torch.float32) / 255


def to_picture(image: Tensor) -> Image.Image:
    """One (3, H, W) tensor in [0, 1] as a Pillow RGB image."""
    return Image.fromarray(to_u8(image).permute(1, 2, 0).contiguous().cpu().numpy())
