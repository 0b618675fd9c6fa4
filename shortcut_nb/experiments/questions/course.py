"""What happens on the way, while clean training teaches a person? On clean pictures only.

The end says nothing of the way there: the first miniature was flooded with noise in its first ten
steps, and healed. Validation people, as for ``regime``. The contrasts were written before this was
measured.
"""

from __future__ import annotations

from ...analysis.lead import on_the_way
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import OWN, Cell, Experiment, Sheet
from .regime import CHOSEN, LONGER, PEOPLE, REGIMES

FIRST = "first miniature's"
WATCHED = (CHOSEN, LONGER, FIRST)
SHARES = (0.0, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6)  # of the steps; and their end
SHEETS = {"instance": OWN, "class": Sheet(of="class")}
FLOOD = 0.1  # of quality: a fall by more is a flood


def sheets() -> dict[str, Sheet]:
    """V* and the class on the way and at the end."""
    return {
        on_the_way(name, share): sheet.model_copy(update={"at": None if share == 1 else share})
        for share in (*SHARES, 1.0)
        for name, sheet in SHEETS.items()
    }


def quality_holds(steps: int) -> str:
    """The name of a contrast: V* is as good as the base model draws, after so many steps."""
    return f"V* keeps its quality, step {steps}"


def experiment(profile: Profile) -> Experiment:
    """Three trainings of each person, watched; that no step floods is asked of each look."""
    total = int(REGIMES[CHOSEN]["steps"])
    before = f"condition={CHOSEN} & sheet={on_the_way('instance', 0.0)}"
    contrasts = [
        Contrast(
            quality_holds(round(share * total)),
            "quality",
            {f"condition={CHOSEN} & sheet={on_the_way('instance', share)}": 1, before: -1},
            sheet=None,
            expect="0",
            margin=FLOOD,
            primary=share == SHARES[1],  # where the first miniature's flood was deepest
        )
        for share in (*SHARES[1:], 1.0)
    ]
    return Experiment(
        name="course",
        question="Is any prompt flooded with noise on the way, and when does the person appear?",
        cells={name: Cell(training=REGIMES[name]) for name in WATCHED},
        sheets=sheets(),
        contrasts=tuple(contrasts),
        subjects=PEOPLE,
        seeds=(0,),
        n=4,
    )
