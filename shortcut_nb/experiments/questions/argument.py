"""What three protections do to a person and to the class, and what undoes it, by every measure.

Random noise of the same size is the control: what it does as well is no protection's merit.
"""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Experiment

BUDGETS = ("16/255", "8/255")
PROTECTIONS = ("aspl", "photoguard", "metacloak")
TREATED = "aspl"  # the protection that every remedy is tried on
RESTORER, PAPERS = "restored", "CodeSR"
REMEDIES: dict[str, dict[str, Any]] = {
    RESTORER: {"purifier": "profile"},
    PAPERS: {"purifier": "codesr"},
    "CDL": {"prompts": "cdl"},
    "restored + CDL": {"purifier": "profile", "prompts": "cdl"},
}
# What goes down when a picture is ruined, and what goes up; the first is primary.
MEASURES: dict[str, str] = {
    "apart": "+",
    "quality": "-",
    "intact": "-",
    "ims_missing": "-",
    "attributes": "-",
}
OPPOSITE = {"+": "-", "-": "+"}


def treatments() -> dict[str, dict[str, Any]]:
    """What is done to the pictures and to the training, by name."""
    protected = {name: {"attack": name} for name in PROTECTIONS}
    remedied = {name: {"attack": TREATED} | fields for name, fields in REMEDIES.items()}
    return {"clean": {}, "random noise": {"attack": "noise"}} | protected | remedied


def measures(profile: Profile) -> dict[str, str]:
    """The measures that the profile has models for, with the direction of harm."""
    needed = {"intact": "damage", "attributes": "attributes"}
    absent = [name for name, measure in needed.items() if measure not in profile.measures]
    return {name: harm for name, harm in MEASURES.items() if name not in absent}


def contrasts(eps: str, harms: dict[str, str]) -> list[Contrast]:
    """Each protection harms more than noise, each remedy undoes it; V* before the class."""
    cell = {name: f"{name}{JOIN}{eps}" for name in treatments()}
    predictions = []
    for measure, harm in harms.items():
        for name in PROTECTIONS:
            primary = (measure, name, eps) == ("apart", TREATED, BUDGETS[0])
            predictions.append(
                Contrast(
                    f"{name} changes {measure} more than noise does, {eps}",
                    measure,
                    {cell[name]: 1.0, cell["random noise"]: -1.0},
                    expect=harm,
                    primary=primary,
                )
            )
        for name in REMEDIES:
            predictions.append(
                Contrast(
                    f"{name} undoes what {TREATED} did to {measure}, {eps}",
                    measure,
                    {cell[name]: 1.0, cell[TREATED]: -1.0},
                    expect=OPPOSITE[harm],
                )
            )
        predictions.append(_follows_the_word(measure, harm, cell[TREATED], cell["clean"], eps))
    return predictions


def _follows_the_word(measure: str, harm: str, protected: str, clean: str, eps: str) -> Contrast:
    """The harm to V* is larger than that to the class."""
    weights = {protected: 1.0, clean: -1.0}
    weights |= {f"{_fields(name)} & sheet=class": -sign for name, sign in weights.items()}
    return Contrast(
        f"{TREATED} changes {measure} of V* more than of the class, {eps}",
        measure,
        weights,
        expect=harm,
    )


def _fields(cell: str) -> str:
    treatment, eps = cell.split(JOIN)
    return f"treatment={treatment} & eps={eps}"


def experiment(profile: Profile) -> Experiment:
    """Nine treatments at two budgets, by every measure that shares nothing with a defence."""
    harms = measures(profile)
    return Experiment(
        name="argument",
        question="Does protection ruin the person more than noise does, and what undoes it?",
        axes={"treatment": treatments(), "eps": list(BUDGETS)},
        contrasts=tuple(contrast for eps in BUDGETS for contrast in contrasts(eps, harms)),
        subjects=12,
        seeds=(0, 1),
        probes=("apart",),
    )
