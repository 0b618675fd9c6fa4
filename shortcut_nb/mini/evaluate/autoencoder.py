"""The autoencoder: what comes back of a picture, in decibels and in attributes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...lab import Lab
from ...metrics import psnr
from ..avatars import draw
from .attributes import right
from .pictures import held_out, noisy, people, to_batch


@torch.inference_mode()
def reconstruct(lab: Lab, images: Tensor) -> Tensor:
    """Pictures through the autoencoder, by the posterior's mean."""
    model = lab.diffusion
    return torch.cat([model.decode(model.posterior(part)[0]) for part in images.split(16)])


def vae(lab: Lab, seed: int = 0, count: int = 100) -> dict[str, float]:
    """Reconstruction PSNR (dB) of clean and of noisy avatars; attributes lost on the way.

    ``attributes_lost``: percentage points by which attributes are read worse off reconstructions
    than off the originals.
    """
    clean, _ = held_out(count, 1, seed)
    dirty = noisy(clean, seed)
    drawn = people(2 * count, seed + 1)
    truth = [who for who, _ in drawn]
    pictures = to_batch([draw(*one) for one in drawn])
    reader = lab.measure("attributes")
    before = right(reader, pictures, truth)
    after = right(reader, reconstruct(lab, pictures), truth)
    return {
        "psnr_clean": float(np.mean(psnr(reconstruct(lab, clean), clean))),
        "psnr_noisy": float(np.mean(psnr(reconstruct(lab, dirty), dirty))),
        "attributes_lost": 100 * (before - after),
    }
