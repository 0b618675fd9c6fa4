"""The whole argument: protection harms, purification and decoupling undo it."""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Experiment, Sheet
from ..story import CLAIMS

BUDGETS = ("16/255", "8/255")
PRIMARY = "protection lowers quality"
CONTROL = {"negative": Sheet(negative="{negative}").model_dump()}
TREATMENTS: dict[str, dict[str, Any]] = {
    "clean": {},
    "random noise": {"attack": "noise"},
    "protected": {"attack": "aspl", "sheets": CONTROL},
    "purified": {"attack": "aspl", "purifier": "profile"},
    "cdl": {"attack": "aspl", "prompts": "cdl"},
    "purified + cdl": {"attack": "aspl", "purifier": "profile", "prompts": "cdl"},
}


def contrasts(eps: str) -> list[Contrast]:
    """Every prediction at a budget; the primary one at the larger budget decides the question."""
    found = [
        Contrast(
            f"{name}, {eps}", metric, {f"{high}{JOIN}{eps}": 1, f"{low}{JOIN}{eps}": -1},
            expect="+" if sign > 0 else "-", primary=(name, eps) == (PRIMARY, BUDGETS[0]),
        )
        for name, high, low, metric, sign in CLAIMS
        if low in TREATMENTS
    ]  # fmt: skip
    alone = f"protected{JOIN}{eps}"
    rises: dict[str, str] = {"quality": "+", "texture": "-"}
    for metric, expect in rises.items():
        weights = {f"cdl{JOIN}{eps}": 1.0, f"{_selected('protected', eps)} & sheet=negative": -1.0}
        name = f"CDL changes {metric} more than its negative prompt, {eps}"
        found.append(Contrast(name, metric, weights, expect=expect))
    for metric in ("noise", "texture"):
        weights = {
            alone: 1.0,
            f"clean{JOIN}{eps}": -1.0,
            f"{_selected('protected', eps)} & sheet=class": -1.0,
            f"{_selected('clean', eps)} & sheet=class": 1.0,
        }
        found.append(Contrast(f"{metric} follows V*, not the class, {eps}", metric, weights))
    return found


def _selected(treatment: str, eps: str) -> str:
    return f"treatment={treatment} & eps={eps}"


def experiment(profile: Profile) -> Experiment:
    """Six treatments at two budgets."""
    return Experiment(
        name="story",
        question="Does protection harm what is learned, and what undoes it?",
        axes={"treatment": TREATMENTS, "eps": list(BUDGETS)},
        contrasts=tuple(contrast for eps in BUDGETS for contrast in contrasts(eps)),
        subjects=6,
        seeds=(0, 1),
    )
