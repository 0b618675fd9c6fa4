"""Does the harm follow V*, whatever the attack?"""

from __future__ import annotations

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Experiment
from ..scores import beyond_class
from .strength import NOISE, cells

SIGNS = {"quality": -1, "texture": 1}  # the direction of harm, which is turned to be positive


def contrasts(names: list[str]) -> list[Contrast]:
    """The harm to V* beyond the harm to the class, under each attack, against clean pictures."""
    predictions = []
    for metric, sign in SIGNS.items():
        for name in names:
            gap = beyond_class(name, "clean")
            predictions.append(
                Contrast(
                    f"{name} harms V* more than the class ({metric})",
                    metric,
                    {cell: sign * weight for cell, weight in gap.items()},
                    primary=(name, metric) == ("aspl", "quality"),
                )
            )
    return predictions


def experiment(profile: Profile) -> Experiment:
    """Every attack; V* and the class."""
    every = cells(profile)
    attacks = [name for name in every if name not in ("clean", *NOISE)]
    return Experiment(
        name="identifier",
        question="Does the harm follow the identifier V*, whatever the attack?",
        cells=every,
        image_probes=("shifts",),
        contrasts=tuple(contrasts(attacks)),
    )
