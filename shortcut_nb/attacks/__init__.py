"""Protective perturbations: one PGD loop, one file and one registry line per attack."""

from . import (  # noqa: F401  (each registers itself)
    adaptive,
    advdm,
    aspl,
    clip_shift,
    decoded_shift,
    ensemble,
    fsmg,
    glaze,
    metacloak,
    mist,
    noise,
    photoguard,
    pid,
    sds,
    simac,
)
from .base import ATTACKS, Attack, BoundAttack, build, picture_seeds
from .pgd import start_uniform
from .result import AttackResult

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackResult",
    "BoundAttack",
    "build",
    "picture_seeds",
    "start_uniform",
]
