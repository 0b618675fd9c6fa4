"""Controls of equal size: noise, blur and JPEG brought to a wanted PSNR, L2 or L-infinity.

An attack is compared with what knows no gradient. At equal L-infinity, attacks differ in energy,
so that one size alone does not settle what the size explains.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import bisect
from torch import Tensor

from ..budget import linf_pixels
from ..errors import UserError
from ..images import check_images, from_u8, to_u8
from ..metrics import psnr
from ..purify.gaussian import Gaussian
from ..purify.jpeg import Jpeg

KINDS = ("uniform", "gaussian", "blur", "jpeg")
TOLERANCE = 0.1
FINEST = 1e-4
Ladder = Callable[[float], Tensor]


def at_psnr(
    kind: str,
    images: Tensor,
    wanted: ArrayLike,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """Spoil each picture until it has a wanted PSNR against itself before.

    Args:
        kind: one of :data:`KINDS`: uniform or Gaussian noise, Gaussian blur, JPEG.
        images: (n, 3, H, W) in [0, 1].
        wanted: dB, one for all pictures or one for each (what ``metrics.psnr`` gave of an attack).
        tolerance: largest error in dB.

    Returns:
        (n, 3, H, W) on the 8-bit grid.

    Raises:
        UserError: an unknown kind, numbers that do not match, or a PSNR that this kind of change
            does not reach on a picture.
    """
    goals = _each(wanted, images)
    out = []
    for i, goal in enumerate(goals):
        one = images[i : i + 1]
        ladder = _ladder(kind, one, seed * 100_003 + i)
        done = _climb(ladder, partial(_rms, clean=one), _level(goal))
        reached = float(psnr(done, one)[0])
        if abs(reached - goal) > tolerance:
            raise UserError(
                f"{kind} cannot bring picture {i} to {goal:.1f} dB, the nearest is {reached:.1f}: "
                "ask for another PSNR, or allow a larger tolerance"
            )
        out.append(done)
    return torch.cat(out)


def at_linf(kind: str, images: Tensor, pixels: int, seed: int = 0) -> Tensor:
    """Spoil each picture as far as no colour value changes by more than ``pixels`` grey levels.

    Noise and blur come within a level of it. (n, 3, H, W) on the 8-bit grid.

    Raises:
        UserError: an unknown kind.
    """
    check_images(images)
    out = []
    for i in range(len(images)):
        one = images[i : i + 1]
        ladder = _ladder(kind, one, seed * 100_003 + i)
        out.append(_climb(ladder, partial(_worst, clean=one), pixels + 0.5))
    return torch.cat(out)


def _climb(ladder: Ladder, size: Callable[[Tensor], float], goal: float) -> Tensor:
    """The picture at the strength in [0, 1] where its size crosses the goal, from just below."""

    def rung(strength: float) -> Tensor:
        return from_u8(to_u8(ladder(strength)))

    if size(rung(1.0)) <= goal:
        return rung(1.0)
    strongest = bisect(lambda s: size(rung(s)) - goal, 0.0, 1.0, xtol=FINEST / 2)
    return min((rung(strongest), rung(max(0.0, strongest - FINEST))), key=lambda x: size(x) > goal)


def _ladder(kind: str, image: Tensor, seed: int) -> Ladder:
    """A function from strength in [0, 1] to a picture: continuous, 0 gives the picture itself."""
    draw = torch.Generator().manual_seed(seed)
    if kind == "uniform":
        field = torch.rand(image.shape, generator=draw) * 2 - 1
        return lambda s: (image + s * field).clamp(0, 1)
    if kind == "gaussian":
        field = torch.randn(image.shape, generator=draw)
        return lambda s: (image + s * field).clamp(0, 1)
    if kind == "blur":
        widest = min(image.shape[-2:]) / 8
        return lambda s: Gaussian(widest * s)(image)
    if kind == "jpeg":
        return lambda s: _compressed(image, s)
    raise UserError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


def _compressed(image: Tensor, strength: float) -> Tensor:
    """JPEG of falling quality; between two whole qualities, the mean of both by distance."""
    step = min(int(strength * 100), 99)
    share = strength * 100 - step
    low, high = (image if k == 0 else Jpeg(101 - k)(image) for k in (step, step + 1))
    return low + share * (high - low)


def _each(wanted: ArrayLike, images: Tensor) -> list[float]:
    check_images(images)
    goals = np.atleast_1d(np.asarray(wanted, dtype=np.float64))
    goals = np.repeat(goals, len(images)) if len(goals) == 1 else goals
    if goals.shape != (len(images),) or not np.isfinite(goals).all():
        raise UserError(f"expected one finite size, or one for each of {len(images)} pictures")
    return goals.tolist()


def _rms(images: Tensor, clean: Tensor) -> float:
    return float((images - clean).double().square().mean().sqrt() * 255)


def _worst(images: Tensor, clean: Tensor) -> float:
    return max(linf_pixels(images, clean))


def _level(decibels: float) -> float:
    return 255 * 10 ** (-decibels / 20)
