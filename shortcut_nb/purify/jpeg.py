"""JPEG: throw away what the eye does not miss."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image
from torch import Tensor

from ..images import from_u8, to_u8
from ..progress import OnStep
from .base import Purifier, register


@register("jpeg")
@dataclass(frozen=True)
class Jpeg(Purifier):
    """Encode and decode with Pillow, quality 75 as in DiffShortcut and MetaCloak.

    Pictures are rounded to 8 bits first, since that is what an encoder sees.

    Args:
        quality: Pillow's, from 1 to 100.
    """

    quality: Annotated[int, Ge(1), Le(100)] = 75

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        pixels = to_u8(images).permute(0, 2, 3, 1).cpu().numpy()
        out = np.stack([self._round_trip(picture) for picture in pixels])
        return from_u8(torch.from_numpy(out).permute(0, 3, 1, 2)).contiguous().to(images.device)

    def _round_trip(self, picture: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=self.quality)
        return np.asarray(Image.open(buffer).convert("RGB"))
