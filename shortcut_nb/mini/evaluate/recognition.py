"""Who is it, and is it anybody: the identity encoder and the detector."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from ...lab import Lab
from ...metrics import IdentityEncoder
from ...metrics.hardened_identity import MEASURE
from ..avatars import identity
from .pictures import held_out, noisy, patterns


def identity_encoder(lab: Lab, seed: int = 0, people: int = 120) -> dict[str, float]:
    """The measure of identity: see :func:`verification`."""
    return verification(lab.identity, seed, people)


def hardened_encoder(lab: Lab, seed: int = 0, people: int = 120) -> dict[str, float]:
    """The encoder that looks through noise: see :func:`verification`."""
    return verification(lab.measure(MEASURE), seed, people)


def verification(encoder: IdentityEncoder, seed: int, people: int) -> dict[str, float]:
    """Over all pairs of two pictures each: AUC, equal error rate, mean cosines."""
    images, person = held_out(people, 2, seed)
    out: dict[str, float] = {}
    # Two indices may name one identity: compare identities, not indices.
    names = np.array([str(identity("held-out", int(i))) for i in person])
    upper = np.triu_indices(len(person), 1)
    same = (names[:, None] == names[None])[upper]
    for name, pictures in (("clean", images), ("noisy", noisy(images, seed))):
        z = encoder(pictures)
        value = (z @ z.T).numpy()[upper]
        miss, hit, _ = roc_curve(same, value)
        out |= {
            f"auc_{name}": float(roc_auc_score(same, value)),
            f"eer_{name}": float(miss[np.argmin(np.abs(miss - (1 - hit)))]),
            f"same_{name}": float(value[same].mean()),
            f"different_{name}": float(value[~same].mean()),
        }
    return out


def detector(lab: Lab, seed: int = 0, n: int = 200) -> dict[str, float]:
    """Share of clean avatars found, and of abstract patterns mistaken for a person."""
    clean, _ = held_out(n, 1, seed)
    return {
        "found": float(np.mean(lab.detector.detects(clean))),
        "false_alarms": float(np.mean(lab.detector.detects(patterns(n, seed)))),
    }
