"""The whole argument: protection harms, purification and decoupling undo it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Experiment, Sheet
from ..scores import beyond_class

BUDGETS = ("16/255", "8/255")
PRIMARY = "protection lowers quality"
CLASS = {"class": Sheet(of="class").model_dump()}
CONTROL = {"negative": Sheet(negative="{negative}").model_dump()}
CONDITIONS: dict[str, dict[str, Any]] = {
    "clean": {},
    "random noise": {"attack": "noise"},
    "protected": {"attack": "aspl"},
    "purified": {"attack": "aspl", "purifier": "profile"},
    "cdl": {"attack": "aspl", "prompts": "cdl"},
    "purified + cdl": {"attack": "aspl", "purifier": "profile", "prompts": "cdl"},
}
SHEETS = {"clean": {"sheets": CLASS}, "protected": {"sheets": CLASS | CONTROL}}
TREATMENTS = {name: fields | SHEETS.get(name, {}) for name, fields in CONDITIONS.items()}
NEGATIVE = "protected + negative prompt"  # the model trained on protected pictures, sampled so
# (what is predicted, treatment, minus treatment, metric, direction)
CLAIMS = (
    ("protection lowers identity", "protected", "clean", "ims_missing", "-"),
    (PRIMARY, "protected", "clean", "quality", "-"),
    ("protection harms identity more than noise", "protected", "random noise", "ims_missing", "-"),
    ("protection harms quality more than noise", "protected", "random noise", "quality", "-"),
    ("protection covers samples with texture", "protected", "clean", "texture", "+"),
    ("protection leaves more texture than noise", "protected", "random noise", "texture", "+"),
    ("purification restores identity", "purified", "protected", "ims_missing", "+"),
    ("purification restores quality", "purified", "protected", "quality", "+"),
    ("purification removes the texture", "purified", "protected", "texture", "-"),
    ("CDL restores identity", "cdl", "protected", "ims_missing", "+"),
    ("CDL restores quality", "cdl", "protected", "quality", "+"),
    ("CDL beats its negative prompt alone", "cdl", NEGATIVE, "quality", "+"),
    ("CDL removes texture", "cdl", "protected", "texture", "-"),
    ("CDL removes more than its negative prompt", "cdl", NEGATIVE, "texture", "-"),
    ("both restore identity", "purified + cdl", "protected", "ims_missing", "+"),
    ("both restore quality", "purified + cdl", "protected", "quality", "+"),
    ("both remove the texture", "purified + cdl", "protected", "texture", "-"),
)


def contrasts(eps: str) -> list[Contrast]:
    """Every prediction at a budget; the primary one at the larger budget decides the question."""
    compared = [
        Contrast(
            f"{name}, {eps}",
            metric,
            {_cell(high, eps): 1, _cell(low, eps): -1},
            expect=sign,
            primary=(name, eps) == (PRIMARY, BUDGETS[0]),
        )
        for name, high, low, metric, sign in CLAIMS
    ]
    gap = beyond_class(_cell("protected", eps), _cell("clean", eps))
    follows = [
        Contrast(f"{metric} follows V*, not the class, {eps}", metric, gap)
        for metric in ("noise", "texture")
    ]
    return compared + follows


def _cell(treatment: str, eps: str) -> str:
    if treatment == NEGATIVE:
        return f"treatment=protected & eps={eps} & sheet=negative"
    return f"treatment={treatment} & eps={eps}"


def experiment(profile: Profile, budgets: Sequence[str] = BUDGETS) -> Experiment:
    """Six treatments at each budget."""
    return Experiment(
        name="story",
        question="Does protection harm what is learned, and what undoes it?",
        axes={"treatment": TREATMENTS, "eps": list(budgets)},
        sheets={"instance": Sheet()},
        contrasts=tuple(contrast for eps in budgets for contrast in contrasts(eps)),
        subjects=12,
    )
