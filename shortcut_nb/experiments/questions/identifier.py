"""Does the harm follow V*, whatever the attack, and what has prior preservation to do with it?"""

from __future__ import annotations

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Experiment
from ..scores import beyond_class
from .strength import NOISE, cells

# Also trained without prior preservation: attacks that leave texture, and one that does not.
UNPRESERVED = ("noise", "aspl", "advdm", "photoguard")
NO_PRIOR = ", no prior"  # ends the names of cells that were trained without it
BARE = "{}" + NO_PRIOR
SIGNS = {"quality": -1, "texture": 1}  # the direction of harm, which is turned to be positive


def contrasts(names: list[str]) -> list[Contrast]:
    """The harm to V* beyond the harm to the class, under each attack; and without the prior."""
    predictions = []
    for metric, sign in SIGNS.items():
        for name in names:
            primary = (name, metric) == ("aspl", "quality")
            words = f"{name} harms V* more than the class ({metric})"
            predictions.append(Contrast(words, metric, _gap(name, sign), primary=primary))
        for name in UNPRESERVED[1:]:
            weights = _gap(name, sign) | _gap(name, -sign, BARE)
            words = f"prior preservation spares the class under {name} ({metric})"
            predictions.append(Contrast(words, metric, weights))
    return predictions


def _gap(name: str, sign: int, condition: str = "{}") -> dict[str, float]:
    """Harm to V* less harm to the class, against clean pictures, as weights of cells."""
    weights = beyond_class(condition.format(name), condition.format("clean"))
    return {cell: sign * weight for cell, weight in weights.items()}


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
    )
