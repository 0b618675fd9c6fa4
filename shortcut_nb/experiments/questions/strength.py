"""How strong is each attack? Every registered one at one budget, and two kinds of random noise."""

from __future__ import annotations

from ...profile import Profile
from .. import strength
from ..contrasts import Contrast
from ..experiment import Cell, Experiment

EPS = "16/255"
HARMS: dict[str, str] = {"quality": "-", "ims_missing": "-", "texture": "+"}


def cells(profile: Profile, eps: str = EPS) -> dict[str, Cell]:
    """Clean pictures, and one cell for each attack that the profile has models for."""
    every = strength.cells(eps, ensemble=bool(profile.ensemble))
    return {name: cell.full for name, cell in every.items()}


def contrasts(names: list[str]) -> list[Contrast]:
    """Each attack against clean pictures and against both kinds of noise."""
    found = []
    for name in names:
        if name == "clean":
            continue
        for base in ("clean", *strength.NOISE):
            if name == base:
                continue
            words = "clean pictures" if base == "clean" else base
            found += [
                Contrast(f"{name} changes {metric} more than {words}", metric,
                         {name: 1, base: -1}, expect=sign,
                         primary=(name, base, metric) == ("aspl", "noise", "quality"))
                for metric, sign in HARMS.items()
            ]  # fmt: skip
    return found


def experiment(profile: Profile) -> Experiment:
    """Every attack, at one budget."""
    every = cells(profile)
    return Experiment(
        name="strength",
        question="How strong is each attack, and is it stronger than random noise?",
        cells=every,
        contrasts=tuple(contrasts(list(every))),
        subjects=6,
        seeds=(0, 1),
    )
