"""Grey levels: floats in [0, 1] and the 8 bits of files, there and back."""

from __future__ import annotations

import numpy as np
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


def from_pixels(pixels: np.ndarray) -> Tensor:
    """One picture (H, W, 3) uint8, or several (N, H, W, 3), as float32 (…, 3, H, W) in [0, 1]."""
    channels_last = torch.from_numpy(np.ascontiguousarray(pixels))
    return from_u8(channels_last.movedim(-1, -3).contiguous())


def to_pixels(images: Tensor) -> np.ndarray:
    """One picture (3, H, W) in [0, 1], or several (N, 3, H, W), as uint8 (…, H, W, 3)."""
    return to_u8(images).movedim(-3, -1).contiguous().cpu().numpy()


def to_picture(image: Tensor) -> Image.Image:
    """One (3, H, W) tensor in [0, 1] as a Pillow RGB image."""
    return Image.fromarray(to_pixels(image))
