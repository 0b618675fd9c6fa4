"""Protective perturbations: one PGD loop, one file and one registry line per attack."""

from . import advdm, aspl, noise  # noqa: F401  (each registers itself)
from .base import ATTACKS, Attack, AttackResult, build

__all__ = ["ATTACKS", "Attack", "AttackResult", "build"]
