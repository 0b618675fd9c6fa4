"""How close a picture is to its original: PSNR and SSIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from skimage.metrics import structural_similarity
from torch import Tensor

from ..errors import UserError
from ..images import check_images
from .base import Column, Needs, need_references

PSNR_CAP = 100.0
WINDOW = 11


def psnr(images: Tensor, originals: Tensor) -> np.ndarray:
    """Peak signal-to-noise ratio per picture, (n,), in dB with peak 1.

    Identical pictures would be infinite; the value is capped at 100 dB, so that means stay finite.

    Args:
        images, originals: (n, 3, H, W) float32 in [0, 1].

    Raises:
        UserError: the two batches differ in shape.
    """
    _check_pair(images, originals)
    gap = images.detach().double().cpu() - originals.detach().double().cpu()
    error = gap.square().flatten(1).mean(dim=1).numpy()
    floor = 10 ** (-PSNR_CAP / 10)
    return -10 * np.log10(np.maximum(error, floor))


def ssim(images: Tensor, originals: Tensor) -> np.ndarray:
    """Structural similarity per picture, (n,), in [-1, 1] (Wang et al. 2004).

    Gaussian window of 1.5 pixels over each colour channel, then the mean.

    Args:
        images, originals: (n, 3, H, W) float32 in [0, 1].

    Raises:
        UserError: the two batches differ in shape, or a side is under 11 pixels.
    """
    _check_pair(images, originals)
    if min(images.shape[-2:]) < WINDOW:
        size = tuple(images.shape[-2:])
        raise UserError(f"SSIM needs pictures of at least {WINDOW} pixels a side, got {size}")
    left = images.detach().cpu().numpy().astype(np.float64)
    right = originals.detach().cpu().numpy().astype(np.float64)
    return np.array([_ssim(a, b) for a, b in zip(left, right, strict=True)])


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    return structural_similarity(
        a,
        b,
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def _check_pair(images: Tensor, originals: Tensor) -> None:
    check_images(images)
    check_images(originals, name="originals")
    if images.shape != originals.shape:
        raise UserError(
            f"expected one original for each picture, of the same shape {tuple(images.shape)}, "
            f"got {tuple(originals.shape)}: match and resize them first"
        )


@dataclass(frozen=True)
class Faithfulness:
    """PSNR (dB) and SSIM of each picture against its own original."""

    name: ClassVar[str] = "faithfulness"
    needs: ClassVar[Needs] = "originals"
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {
        "psnr": Column("PSNR", "dB", "higher"),
        "ssim": Column("SSIM", better="higher"),
    }

    @classmethod
    def open(cls, models: Any) -> Faithfulness:
        """The metric; no model takes part."""
        return cls()

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) against originals of the same shape; columns ``psnr``, ``ssim``.

        Raises:
            UserError: no originals, or of another shape; see :func:`ssim`.
        """
        originals = need_references("faithfulness", "the originals", references)
        return {"psnr": psnr(images, originals), "ssim": ssim(images, originals)}
