"""How strong is each attack? Every registered one at one budget, and two kinds of random noise."""

from __future__ import annotations

from ...attacks import ATTACKS
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Cell, Experiment

EPS = "16/255"
NOISE = ("noise", "noise-uniform")
HARMS = {"quality": "-", "ims_missing": "-", "texture": "+"}
# Variants that the registry does not name.
VARIANTS = {
    "advdm−": {"attack": "advdm", "settings": {"direction": -1}},
    "sds+": {"attack": "sds", "settings": {"direction": 1}},
    "sdst": {"attack": "sds", "settings": {"targeted": True}},
}


def attacks(profile: Profile) -> list[str]:
    """The registered attacks that need no more models than the profile names, and no purifier."""
    several = [name for name in ATTACKS if name.startswith("e-")]
    return [
        name
        for name in ATTACKS
        if not name.startswith("adaptive-") and (profile.ensemble or name not in several)
    ]


def cells(profile: Profile, eps: str = EPS) -> dict[str, Cell]:
    """Clean pictures, and one cell for each attack."""
    named = {"clean": Cell(eps=eps)}
    named |= {name: Cell(attack=name, eps=eps) for name in attacks(profile)}
    return named | {name: Cell(eps=eps, **fields) for name, fields in VARIANTS.items()}


def contrasts(names: list[str]) -> list[Contrast]:
    """Each attack against clean pictures and against both kinds of noise."""
    found = []
    for name in names:
        if name == "clean":
            continue
        for base in ("clean", *NOISE):
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
