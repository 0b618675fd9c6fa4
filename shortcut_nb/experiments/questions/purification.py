"""Which purifier gives the person back, and what does it cost in faithfulness?"""

from __future__ import annotations

from ...profile import Profile
from ...purify import ALIASES, PURIFIERS, build, expand
from ..contrasts import Contrast
from ..experiment import JOIN, Experiment
from ..scores import contrasts_between

EPS = "16/255"
PROTECTIONS = ("aspl", "advdm", "photoguard", "metacloak")
# Each score: its word, the sign of what helps, and the smallest loss that would matter.
SCORES = {
    "quality": ("quality", "+", 0.1),
    "ims_missing": ("identity", "+", 0.1),
    "texture": ("texture", "-", 1.0),
}


def available(profile: Profile) -> list[str]:
    """The purifiers and named chains whose models the profile names, and its own chain."""
    have, named = set(profile.models()), profile.purifiers
    known = sorted([*PURIFIERS, *ALIASES])
    fitting = [name for name in known if set(build(expand(name, named)).roles) <= have]
    return list(dict.fromkeys(["none", *fitting, profile.purifier]))


def restored(purifier: str, word: str, attack: str) -> str:
    """The name of a contrast: what a purifier gives back."""
    return f"{purifier} restores {word} under {attack}"


def left(purifier: str, word: str, attack: str) -> str:
    """The name of a contrast: what is still missing to training on clean pictures."""
    return f"{purifier} leaves no loss of {word} under {attack}"


def contrasts(purifiers: list[str], own: str) -> list[Contrast]:
    """What each purifier restores under each attack, and what is still missing then."""
    predictions = []
    for attack in PROTECTIONS:
        none, clean = f"{attack}{JOIN}none", f"none{JOIN}none"
        for name in purifiers:
            cell = f"{attack}{JOIN}{name}"
            for metric, (word, sign, margin) in SCORES.items():
                words = left(name, word, attack)
                weights = {cell: 1, clean: -1}
                predictions.append(Contrast(words, metric, weights, expect="0", margin=margin))
                if name != "none":
                    one = {metric: (word, sign)}
                    primary = "quality" if (attack, name) == ("aspl", own) else None
                    words = restored(name, word, attack)
                    predictions += contrasts_between(words, cell, none, one, primary)
    return predictions


def experiment(profile: Profile) -> Experiment:
    """Four attacks and clean pictures under every purifier that the profile has models for."""
    purifiers = available(profile)
    return Experiment(
        name="purification",
        question="Which purifier gives back the person that a protection took?",
        axes={"attack": ["none", *PROTECTIONS], "purifier": list(purifiers)},
        base={"eps": EPS},
        contrasts=tuple(contrasts(purifiers, profile.purifier)),
    )
