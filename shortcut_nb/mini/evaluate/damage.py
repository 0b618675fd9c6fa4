"""The measure of quality: does it see every kind of damage, and more where there is more?"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ...lab import Lab
from ..damages import DAMAGES
from ..damages import damage as spoil
from .pictures import held_out, to_batch

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
NEEDED = ("grain", "blotches", "blur", "washed out")
TOLD_APART_AT = 0.5


@torch.inference_mode()
def spoiled(images: Tensor, kind: str, strength: float, seed: int) -> Tensor:
    """Pictures under one damage."""
    rng = np.random.default_rng(seed)
    pixels = (images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    return to_batch([spoil(one, kind, strength, rng) for one in pixels])


def damage(lab: Lab, seed: int = 0, count: int = 60) -> dict[str, float]:
    """AUC of clean against damaged pictures (at half strength), and whether damage is monotone.

    ``auc`` is the smallest over the kinds of ``NEEDED``; ``monotone`` the share of all kinds whose
    mean damage rises with every step of ``STRENGTHS``.
    """
    regressor = lab.measure("damage")
    clean, _ = held_out(count, 1, seed)
    fresh, _ = held_out(count, 1, seed + 1, first=count)
    base = regressor(clean).numpy()
    out: dict[str, float] = {"clean": float(base.mean())}
    rising = []
    for kind in DAMAGES:
        scores = [regressor(spoiled(fresh, kind, s, seed)).numpy() for s in STRENGTHS]
        means = [float(base.mean()), *(float(one.mean()) for one in scores)]
        rising.append(all(a < b for a, b in zip(means, means[1:])))
        middle = scores[STRENGTHS.index(TOLD_APART_AT)]
        label = np.repeat([0, 1], [len(base), len(middle)])
        out[f"auc_{kind}"] = float(roc_auc_score(label, np.concatenate([base, middle])))
    out["auc"] = min(out[f"auc_{kind}"] for kind in NEEDED)
    out["monotone"] = float(np.mean(rising))
    return out
