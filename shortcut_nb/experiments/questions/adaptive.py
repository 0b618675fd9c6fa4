"""What can an attacker do who knows the defence, and at which budget does each defence break?"""

from __future__ import annotations

from ...profile import Profile
from .. import adaptive
from ..contrasts import Contrast
from ..experiment import JOIN, Experiment

EPS = "16/255"


def _cell(who: str, defence: str, eps: str = EPS) -> str:
    return JOIN.join((who, defence, eps))


def contrasts(purifier: str) -> list[Contrast]:
    """What each attacker takes from each defence, and what knowing it is worth."""
    found = []
    for defence in adaptive.defences(purifier):
        clean = _cell("clean", defence, "0/255")
        for who in adaptive.knowledge(purifier):
            weights = {_cell(who, defence): 1.0, clean: -1.0}
            words = f"an attacker who knows {who} takes quality from the defence {defence}"
            found.append(Contrast(words, "quality", weights, expect="-"))
            if who == "nothing":
                continue
            weights = {_cell(who, defence): 1.0, _cell("nothing", defence): -1.0}
            words = f"knowing {who} pays against the defence {defence}"
            primary = (who, defence) == ("everything", "both, held")
            found.append(Contrast(words, "quality", weights, expect="-", primary=primary))
    for defence in adaptive.BUDGETS_AGAINST:
        for eps in adaptive.BUDGETS:
            weights = {_cell("everything", defence, eps): 1.0,
                       _cell("clean", defence, "0/255"): -1.0}  # fmt: skip
            words = f"at {eps} quality is lost behind the defence {defence}"
            found.append(Contrast(words, "quality", weights, expect="-"))
    return found


def experiment(profile: Profile) -> Experiment:
    """Every attacker against every defender at one budget, two of them at every budget."""
    cells = adaptive.cells(EPS, adaptive.BUDGETS, profile.purifier)
    return Experiment(
        name="adaptive",
        question="Does it pay an attacker to know the defence?",
        cells={name: cell.full for name, cell in cells.items()},
        contrasts=tuple(contrasts(profile.purifier)),
        subjects=4,
        seeds=(0,),
    )
