"""JPEG: throw away what the eye does not miss."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from PIL import Image
from torch import Tensor

from ..images import from_pixels, to_pixels
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
        saved = [self._round_trip(picture) for picture in to_pixels(images)]
        return from_pixels(np.stack(saved)).to(images.device)

    def _round_trip(self, picture: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=self.quality)
        return np.asarray(Image.open(buffer).convert("RGB"))
