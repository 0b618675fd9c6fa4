"""The whole argument: protection harms, purification and decoupling undo it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Experiment, Sheet

BUDGETS = ("16/255", "8/255")
PRIMARY = "protection lowers quality"
CLASS = {"class": Sheet(of="class").model_dump()}
CONTROL = {"negative": Sheet(negative="{negative}").model_dump()}
TREATMENTS: dict[str, dict[str, Any]] = {
    "clean": {"sheets": CLASS},
    "random noise": {"attack": "noise"},
    "protected": {"attack": "aspl", "sheets": CLASS | CONTROL},
    "purified": {"attack": "aspl", "purifier": "profile"},
    "cdl": {"attack": "aspl", "prompts": "cdl"},
    "purified + cdl": {"attack": "aspl", "purifier": "profile", "prompts": "cdl"},
}
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
    predictions = []
    for name, high, low, metric, expect in CLAIMS:
        weights = {_cell(high, eps): 1.0, _cell(low, eps): -1.0}
        primary = (name, eps) == (PRIMARY, BUDGETS[0])
        predictions.append(
            Contrast(f"{name}, {eps}", metric, weights, expect=expect, primary=primary)
        )
    for metric in ("noise", "texture"):
        weights = {
            _cell("protected", eps): 1.0,
            _cell("clean", eps): -1.0,
            f"{_cell('protected', eps)} & sheet=class": -1.0,
            f"{_cell('clean', eps)} & sheet=class": 1.0,
        }
        predictions.append(Contrast(f"{metric} follows V*, not the class, {eps}", metric, weights))
    return predictions


def _cell(treatment: str, eps: str) -> str:
    sheet = " & sheet=negative" if treatment == NEGATIVE else ""
    treatment = "protected" if treatment == NEGATIVE else treatment
    return f"treatment={treatment} & eps={eps}{sheet}"


def experiment(profile: Profile, budgets: Sequence[str] = BUDGETS) -> Experiment:
    """Six treatments at each budget."""
    return Experiment(
        name="story",
        question="Does protection harm what is learned, and what undoes it?",
        axes={"treatment": TREATMENTS, "eps": list(budgets)},
        sheets={"instance": Sheet()},
        contrasts=tuple(contrast for eps in budgets for contrast in contrasts(eps)),
        subjects=6,
        seeds=(0, 1),
    )
