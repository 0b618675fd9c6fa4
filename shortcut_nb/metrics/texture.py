"""How much texture lies over a picture, fine or coarse: robust, training-free noise estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import median_filter
from torch import Tensor
from torch.nn.functional import interpolate

from ..images import check_images
from .base import Column, Needs

SIZE = 5
"""Side of the median filter's neighbourhood, in pixels."""
SIDE = 16
"""Side to which pictures are brought before coarse texture is looked for, in pixels."""


@dataclass(frozen=True)
class Texture:
    """The typical deviation of a pixel from the median of its neighbourhood, in grey levels.

    Absolute residual of a median filter of 5 × 5 pixels, averaged over colours, then the median
    over pixels: edges are few and do not count, texture over the whole picture does. For Gaussian
    noise it is near 0.63 times the standard deviation where the noise is grey, and 0.74 where each
    colour has its own. No network takes part, so nothing that a
    network has or has not seen matters; the price is that it cannot tell noise from fine detail.
    """

    name: ClassVar[str] = "texture"
    needs: ClassVar[Needs] = "nothing"
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {"texture": Column("texture", "grey levels", "lower")}

    @classmethod
    def open(cls, models: Any) -> Texture:
        """The metric; no model takes part."""
        return cls()

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; column ``texture``, (n,), 0 to 255."""
        away = residual(images)
        return {"texture": np.median(away.reshape(len(away), -1), axis=1)}


@dataclass(frozen=True)
class CoarseTexture:
    """:class:`Texture` of the pictures made 16 pixels wide: blotches, where that sees grain.

    There a neighbourhood is a third of the picture, so a portrait's own shading counts a
    little: compare with clean samples.
    """

    name: ClassVar[str] = "coarse_texture"
    needs: ClassVar[Needs] = "nothing"
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {
        "coarse_texture": Column("coarse texture", "grey levels", "lower")
    }

    @classmethod
    def open(cls, models: Any) -> CoarseTexture:
        """The metric; no model takes part."""
        return cls()

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; column ``coarse_texture``, (n,), 0 to 255."""
        small = interpolate(check_images(images), (SIDE, SIDE), mode="area")
        return {"coarse_texture": Texture()(small)["texture"]}


def residual(images: Tensor) -> np.ndarray:
    """Each pixel's distance from the median of its :data:`SIZE` × :data:`SIZE` neighbours.

    Args:
        images: (n, 3, H, W) in [0, 1].

    Returns:
        (n, H, W) in grey levels, averaged over colours.

    Raises:
        UserError: wrong pictures.
    """
    pixels = check_images(images).detach().cpu().numpy().astype(np.float64) * 255
    smooth = median_filter(pixels, size=(1, 1, SIZE, SIZE), mode="reflect")
    return np.abs(pixels - smooth).mean(axis=1)
