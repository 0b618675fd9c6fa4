"""Does the harm follow V*, whatever the attack, and what has prior preservation to do with it?"""

from __future__ import annotations

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Experiment
from ..identifier import NO_PRIOR
from .strength import EPS, NOISE, cells

# Also trained without prior preservation: attacks that leave texture, and one that does not.
UNPRESERVED = ("noise", "aspl", "advdm", "photoguard")
BARE = "{}" + NO_PRIOR
SIGNS = {"quality": -1, "texture": 1}  # metric: the direction of harm


def contrasts(names: list[str]) -> list[Contrast]:
    """The harm to V* beyond the harm to the class, under each attack; and without the prior."""
    predictions = []
    for metric, sign in SIGNS.items():
        for name in names:
            primary = (name, metric) == ("aspl", "quality")
            words = f"{name} harms V* more than the class ({metric})"
            predictions.append(Contrast(words, metric, _gap(name, "clean", sign), primary=primary))
        for name in UNPRESERVED[1:]:
            kept = _gap(name, "clean", sign)
            bare = _gap(BARE.format(name), BARE.format("clean"), sign)
            weights = kept | {cell: -weight for cell, weight in bare.items()}
            words = f"prior preservation spares the class under {name} ({metric})"
            predictions.append(Contrast(words, metric, weights))
    return predictions


def _gap(name: str, base: str, sign: int) -> dict[str, float]:
    """Harm to V* less harm to the class, as weights of cells."""
    own = {name: float(sign), base: -float(sign)}
    return own | {f"condition={cell} & sheet=class": -weight for cell, weight in own.items()}


def experiment(profile: Profile) -> Experiment:
    """Every attack with prior preservation, some without; V* and the class."""
    every = cells(profile)
    training = {"training": {"prior_weight": 0.0}}
    bare = {
        BARE.format(name): every[name].model_copy(update=training)
        for name in ("clean", *UNPRESERVED)
    }
    attacks = [name for name in every if name not in ("clean", *NOISE)]
    return Experiment(
        name="identifier",
        question="Does the harm follow the identifier V*, whatever the attack?",
        cells=every | bare,
        looks=("shifts",),
        contrasts=tuple(contrasts(attacks)),
        subjects=6,
        seeds=(0, 1),
    )


__all__ = ["EPS", "UNPRESERVED", "contrasts", "experiment"]
