"""Pictures that no attack made, of the size of those that one did, and how far they shift CLIP."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..analysis.controls import KINDS, at_linf, at_psnr
from ..budget import Budget
from ..cells import Cell
from ..metrics import Column, psnr
from ..models import Models
from ..subjects import Subject
from .base import IMAGE_PROBES, ImageProbe

TOLERANCE = 0.25  # dB; JPEG moves in jumps
SEED = 0
SPOILT = {
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "blur": "blur",
    "jpeg": "JPEG",
}
"""What pictures that no attack made are spoilt by."""
SIZES = {"psnr": "PSNR", "linf": "l∞"}


def controls(
    clean: Tensor, protected: Tensor, seed: int = SEED, eps: str | None = None
) -> dict[str, Tensor]:
    """Spoilt pictures that have, one by one, the size of the protected ones.

    Args:
        clean, protected: (n, 3, H, W) in [0, 1].
        eps: a budget; None leaves out the controls of its l∞.

    Returns:
        "blur_psnr" has their PSNR, within :data:`TOLERANCE`; "blur_linf" the budget's l∞.
        Uniform noise of that l∞ is an attack of the registry.
    """
    goals = psnr(protected, clean)
    pictures = {f"{kind}_psnr": at_psnr(kind, clean, goals, seed, TOLERANCE) for kind in KINDS}
    if eps is not None:
        most = Budget.parse(eps).pixels
        pictures |= {f"{kind}_linf": at_linf(kind, clean, most, seed) for kind in KINDS[1:]}
    return pictures


def beyond(models: Models, subject: Subject, cell: Cell, images: Tensor) -> dict[str, float]:
    """The pictures' shift towards noise in CLIP, less that of each control: ``beyond_blur_psnr``…

    Above 0: they shift CLIP further than what knows no gradient and is as large.
    """
    concept, noise = models.profile.concepts[:2]

    def towards(x: Tensor) -> float:
        moved = clip_shift(models.clip, x, concept, noise, reference=subject.b)
        return float(moved["shift_projection"].mean())

    own = towards(images)
    spoilt = controls(subject.b, images, eps=cell.eps)
    return {f"beyond_{name}": own - towards(x) for name, x in spoilt.items()}


def settings(models: Models, subject: Subject, cell: Cell) -> dict[str, Any]:
    """What the numbers depend on beside pictures and weights."""
    return {
        "concepts": models.profile.concepts[:2],
        "eps": cell.eps,
        "kinds": KINDS,
        "tolerance": TOLERANCE,
        "seed": SEED,
    }


COLUMNS = {
    f"beyond_{kind}_{size}": Column(
        f"CLIP: shift beyond that of {SPOILT[kind]} of the same {equal}"
    )
    for size, equal in SIZES.items()
    for kind in (KINDS if size == "psnr" else KINDS[1:])
}
IMAGE_PROBES.add("controls", ImageProbe(beyond, ("clip",), settings, COLUMNS))
