"""What three protections do to a person and to the class, and what undoes it, by every measure.

Random noise of the same size is the control: what it does as well is no protection's merit.
"""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Experiment
from ..scores import Scores, beyond_class, contrasts_between, turned, worse

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
# The first is primary; two need a network that not every profile has.
MEASURES = worse(
    "apart", "quality", "texture", "coarse_texture", "intact", "ims_missing", "attributes"
)
NEEDED = {"intact": "damage", "attributes": "attributes"}


def treatments() -> dict[str, dict[str, Any]]:
    """What is done to the pictures and to the training, by name."""
    protected = {name: {"attack": name} for name in PROTECTIONS}
    remedied = {name: {"attack": TREATED} | fields for name, fields in REMEDIES.items()}
    return {"clean": {}, "random noise": {"attack": "noise"}} | protected | remedied


def measures(profile: Profile) -> Scores:
    """The measures that the profile has models for, with the sign of harm."""
    absent = [name for name, model in NEEDED.items() if model not in profile.measures]
    return {name: harm for name, harm in MEASURES.items() if name not in absent}


def sample_probes(scores: Scores) -> tuple[str, ...]:
    """The further measures of samples; traits where the profile can read them."""
    return ("apart", "traits") if "attributes" in scores else ("apart",)


def contrasts(eps: str, scores: Scores) -> list[Contrast]:
    """Each protection harms more than noise, each remedy undoes it; V* before the class."""
    cell = {name: f"{name}{JOIN}{eps}" for name in treatments()}
    predictions = []
    for metric, score in scores.items():
        one = {metric: score}
        for name in PROTECTIONS:
            words = f"{name} changes {metric} more than noise does, {eps}"
            primary = "apart" if (name, eps) == (TREATED, BUDGETS[0]) else None
            predictions += contrasts_between(words, cell[name], cell["random noise"], one, primary)
        for name in REMEDIES:
            words = f"{name} undoes what {TREATED} did to {metric}, {eps}"
            predictions += contrasts_between(words, cell[name], cell[TREATED], turned(one))
        words = f"{TREATED} changes {metric} of V* more than of the class, {eps}"
        gap = beyond_class(cell[TREATED], cell["clean"])
        predictions.append(Contrast(words, metric, gap, expect=score[1]))
    return predictions


def experiment(profile: Profile) -> Experiment:
    """Nine treatments at two budgets, by every measure that shares nothing with a defence."""
    scores = measures(profile)
    return Experiment(
        name="argument",
        question="Does protection ruin the person more than noise does, and what undoes it?",
        axes={"treatment": treatments(), "eps": list(BUDGETS)},
        contrasts=tuple(contrast for eps in BUDGETS for contrast in contrasts(eps, scores)),
        subjects=12,
        sample_probes=sample_probes(scores),
    )
