"""Which purifier gives the person back, and what does it cost in faithfulness?"""

from __future__ import annotations

from ...profile import Profile
from ...purify import ALIASES, PURIFIERS, build, expand, roles
from ..contrasts import Contrast
from ..experiment import JOIN, Experiment

EPS = "16/255"
PROTECTIONS = ("aspl", "advdm", "photoguard", "metacloak")


def available(profile: Profile) -> list[str]:
    """The purifiers and named chains whose models the profile names, and its own chain."""
    have, named = set(profile.models()), profile.purifiers
    known = sorted([*PURIFIERS, *ALIASES])
    found = [name for name in known if set(roles(build(expand(name, named)))) <= have]
    return list(dict.fromkeys(["none", *found, profile.purifier]))


def contrasts(purifiers: list[str], own: str) -> list[Contrast]:
    """What each purifier restores under each attack, and what is still missing then."""
    found = []
    for attack in PROTECTIONS:
        none = f"{attack}{JOIN}none"
        for name in purifiers:
            cell = f"{attack}{JOIN}{name}"
            if name == "none":
                continue
            found += [
                Contrast(f"{name} restores quality under {attack}", "quality",
                         {cell: 1, none: -1}, primary=(attack, name) == ("aspl", own)),
                Contrast(f"{name} restores identity under {attack}", "ims_missing",
                         {cell: 1, none: -1}),
                Contrast(f"{name} leaves no loss of quality under {attack}", "quality",
                         {cell: 1, f"none{JOIN}none": -1}, expect="0", margin=0.1),
            ]  # fmt: skip
    return found


def experiment(profile: Profile) -> Experiment:
    """Four attacks and clean pictures under every purifier that the profile has models for."""
    purifiers = available(profile)
    return Experiment(
        name="purification",
        question="Which purifier gives back the person that a protection took?",
        axes={"attack": ["none", *PROTECTIONS], "purifier": list(purifiers)},
        base={"eps": EPS},
        contrasts=tuple(contrasts(purifiers, profile.purifier)),
        subjects=6,
        seeds=(0, 1),
    )
