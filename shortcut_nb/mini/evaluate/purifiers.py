"""What each purifier of the miniature leaves of a clean picture."""

from __future__ import annotations

import numpy as np

from ...lab import Lab
from ...metrics import psnr
from .pictures import held_out

NAMES = ("restorer", "sr", "ddspure")


def purifiers(lab: Lab, seed: int = 0, people: int = 16) -> dict[str, float]:
    """Likeness (cosine to the person's clean pictures) and PSNR (dB) of purified clean pictures."""
    images, person = held_out(people, 4, seed)
    means = [lab.identity.mean(images[person == i]) for i in range(people)]
    out: dict[str, float] = {}
    for name in NAMES:
        pure = lab.purifier(name)(images)
        z = lab.identity(pure)
        cosines = [float((z[person == i] @ mean).mean()) for i, mean in enumerate(means)]
        out[f"likeness_{name}"] = float(np.mean(cosines))
        out[f"psnr_{name}"] = float(np.mean(psnr(pure, images)))
    return out
