"""Where does the shortcut live: in attention, in the word, in the losses, or in the spectrum?

The predictions were written before this was measured on several people, but after a look at one.
"""

from __future__ import annotations

from typing import NamedTuple

from ...inside.traces import on
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Cell, Experiment, Sheet

EPS = "16/255"
OWN, CLASS = on("identifier", "protected"), on("class", "protected")
LOW, HIGH = on("low noise", "protected"), on("high noise", "protected")
UNSEEN = on("low noise", "clean")
OWN_CLEAN = on("identifier", "clean")


class Prediction(NamedTuple):
    """What is above zero, and why it should be."""

    metric: str
    weights: dict[str, float]
    why: str


PREDICTIONS = {
    "V* attends to where the perturbation is, more than the class word does": Prediction(
        "attends", {OWN: 1, CLASS: -1}, "V* stands for the noise"
    ),
    "V* attends there more than after training on clean pictures": Prediction(
        "attends", {OWN: 1, OWN_CLEAN: -1}, "V* came to stand for the noise in training"
    ),
    "in samples V* attends to the texture, more than the class word does": Prediction(
        "draws", {OWN: 1, CLASS: -1}, "V* draws the noise"
    ),
    "V* moves further than the class word": Prediction(
        "moved", {OWN: 1, CLASS: -1}, "prior preservation holds the class word"
    ),
    "V* moves further on protected pictures": Prediction(
        "moved", {OWN: 1, OWN_CLEAN: -1}, "it has the noise to learn besides the person"
    ),
    "protected pictures are learned at low noise most": Prediction(
        "learned", {LOW: 1, HIGH: -1}, "there the perturbation can be told from the picture"
    ),
    "clean training does not learn the perturbation": Prediction(
        "learned", {LOW: 1, UNSEEN: -1}, "it is not on clean pictures"
    ),
    "half of what is learned at low noise is learned in the first third": Prediction(
        "early_lead", {LOW: 1}, "a shortcut is learned early"
    ),
    "V* samples carry the perturbation's spectrum, more than class samples do": Prediction(
        "match", {OWN: 1, CLASS: -1}, "the noise is bound to V*"
    ),
    "V* samples match it better than random noise does": Prediction(
        "match", {OWN: 1, "random noise": -1}, "what is bound is this noise, not just any"
    ),
}
PRIMARY = "V* samples carry the perturbation's spectrum, more than class samples do"


def contrasts() -> list[Contrast]:
    """Every prediction; that on spectra decides the question."""
    return [
        Contrast(
            claim,
            metric,
            {f"condition=protected & sheet={row}": weight for row, weight in weights.items()},
            sheet=None,
            primary=claim == PRIMARY,
        )
        for claim, (metric, weights, _) in PREDICTIONS.items()
    ]


def experiment(profile: Profile) -> Experiment:
    """One look at two trainings of each person, on protected and on clean pictures."""
    return Experiment(
        name="traces",
        question="Where does the shortcut live?",
        cells={"protected": Cell(attack="aspl", eps=EPS)},
        sheets={"traces": Sheet(inside="traces")},
        contrasts=tuple(contrasts()),
        n=1,
    )
