"""JPEG: throw away what the eye does not miss."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..images import check_images, from_u8, to_u8
from .base import OnStep, register


@register("jpeg")
@dataclass(frozen=True)
class Jpeg:
    """Encode and decode with Pillow, quality 75 as in DiffShortcut and MetaCloak.

    Pictures are rounded to 8 bits first, since that is what an encoder sees.
    """

    quality: int = 75

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be in 1..100, got {self.quality}")

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]; the result is on the 8-bit grid."""
        pixels = to_u8(check_images(images)).permute(0, 2, 3, 1).cpu().numpy()
        out = np.stack([self._round_trip(picture) for picture in pixels])
        return from_u8(torch.from_numpy(out).permute(0, 3, 1, 2)).contiguous().to(images.device)

    def _round_trip(self, picture: np.ndarray) -> np.ndarray:
        held = io.BytesIO()
        Image.fromarray(picture).save(held, "JPEG", quality=self.quality)
        return np.asarray(Image.open(held).convert("RGB"))
