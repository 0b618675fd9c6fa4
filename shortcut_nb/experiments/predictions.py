"""What the shortcut hypothesis predicts of each intervention, and what became of it.

The predictions were written before any of their results. Each is a weighted sum of gaps: the score
of one sheet minus that of another, in one condition (see ``interventions.CONDITIONS``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .report import judge
from .shipped import verdict

HARMS = {"texture": 1, "quality": -1, "ims_missing": -1}  # score: the direction of harm
FIRST = "the texture comes before the person"


@dataclass(frozen=True)
class Gap:
    """A score's mean over the sheet ``high`` minus that over ``low``, times a weight."""

    condition: str
    weight: float = 1.0
    high: str = "own"
    low: str = "class"


@dataclass(frozen=True)
class Prediction:
    """A claim about a sum of gaps.

    Args:
        more: 1 when more of the shortcut is predicted, -1 when less.
        why: what of the hypothesis it follows from.
    """

    claim: str
    gaps: tuple[Gap, ...]
    more: int
    why: str


def rise(
    condition: str, control: str = "clean", weight: float = 1.0, high: str = "own",
    low: str = "class",
) -> tuple[Gap, ...]:  # fmt: skip
    """A condition's gap less the gap of its control on clean pictures."""
    return Gap(condition, weight, high, low), Gap(control, -weight, high, low)


BASE = "the harm follows V*, not the class"
LESS = rise("protected", weight=-1.0)
# Weights of the least-squares slope over the shares 0, 1/4, 1/2, 3/4 and 1.
SLOPE = tuple(zip(
    ("clean", "1/4 protected", "1/2 protected", "3/4 protected", "protected"),
    (-0.8, -0.4, 0.0, 0.4, 0.8), strict=True,
))  # fmt: skip
PREDICTIONS = (
    Prediction(BASE, rise("protected"), 1,
               "what differs between the instance and the class pictures is said by V* alone"),
    Prediction("it follows V*, not any rare word in its place", rise("protected", low="swapped"), 1,
               "the noise is bound to the word trained on, not to the form of the sentence"),
    Prediction("V* carries it without the class word", rise("protected", high="bare"), 1,
               "the noise is bound to V* itself"),
    Prediction("more perturbed pictures, more of it", tuple(Gap(*pair) for pair in SLOPE), 1,
               "V* is bound to whatever its pictures share"),
    Prediction("a quarter of the pictures is enough", rise("1/4 protected"), 1,
               "noise is learned faster than a person"),
    Prediction("a shuffled perturbation works too", rise("shuffled"), 1,
               "what is learned is the noise itself, whatever it lies on"),
    Prediction("a perturbation works best on its own picture",
               (Gap("protected"), Gap("shuffled", -1.0)), 1,
               "pictures and words no longer match: a perturbation is made for its picture"),
    Prediction("another person's perturbation works too", rise("another's"), 1,
               "what is learned is the noise itself, not what it does to a person"),
    Prediction("random noise of the same size does less",
               (Gap("random noise"), Gap("protected", -1.0)), -1,
               "the shortcut is noise that moves pictures away from their meaning"),
    Prediction("a telling caption binds less than V*",
               rise("caption", "caption, clean", high="trained") + LESS, -1,
               "a rare word has little meaning to hold against the noise, a caption has some"),
    Prediction("without V* in training, less sets V* apart from the class",
               rise("caption", "caption, clean") + LESS, -1,
               "the noise goes to the words that were trained on"),
    Prediction("naming the person leaves the noise to V*",
               rise("traits", "traits, clean") + LESS, 1,
               "V* is bound to what the other words do not say"),
    Prediction("naming the noise relieves V*",
               rise("noise named", "noise named, clean") + LESS, -1,
               "V* is bound to what the other words do not say"),
    Prediction("the noise's own words carry it",
               rise("noise named", "noise named, clean", high="trained", low="own"), 1,
               "named noise is bound to its name"),
)  # fmt: skip


def each(frame: pd.DataFrame, prediction: Prediction, score: str) -> np.ndarray:
    """Each subject's sum of gaps at the end of training; empty where a condition was not run.

    Args:
        frame: rows of samples with ``condition``, ``subject``, ``step``, ``sheet`` and scores;
            samples and seeds are averaged.
    """
    last = frame[frame["step"] == frame["step"].max()]
    table = last.pivot_table(
        index="subject", columns=["condition", "sheet"], values=score, aggfunc="mean"
    )
    needed = {(gap.condition, name) for gap in prediction.gaps for name in (gap.high, gap.low)}
    if not needed <= set(table.columns):
        return np.empty(0)
    total = sum(
        gap.weight * (table[gap.condition, gap.high] - table[gap.condition, gap.low])
        for gap in prediction.gaps
    )
    return total.dropna().to_numpy()


def first(frame: pd.DataFrame) -> np.ndarray:
    """Each subject's lead of the texture over the person, a third of the way through training.

    The share reached of its final rise: of the V* samples' texture, protected minus clean; less
    that of their identity match, after the same training on protected pictures, over the untrained
    model. A share above 1 has overshot its end. Subjects without a final rise of either are left
    out. The first form of this measure cut shares to [0, 1] and took the person from the training
    on clean pictures; it could hardly be refuted and was replaced after its first result.
    """
    steps = sorted(frame["step"].unique())
    last = steps[-1]
    early = min(steps, key=lambda step: abs(step - last / 3))
    own = frame[frame["sheet"] == "own"]
    table = own.pivot_table(
        index="subject", columns=["condition", "step"], values=["texture", "ims_missing"],
        aggfunc="mean",
    )  # fmt: skip
    needed = {("texture", "protected", early), ("texture", "clean", early)}
    needed |= {("ims_missing", "protected", 0), ("ims_missing", "protected", early)}
    if early in (0, last) or not needed <= set(table.columns):
        return np.empty(0)
    texture = table["texture", "protected"] - table["texture", "clean"]
    match = table["ims_missing", "protected"]
    person = match.sub(match[0], axis=0)
    rose = (texture[last] > 0) & (person[last] > 0)
    shares = [(part[early] / part[last])[rose] for part in (texture, person)]
    return (shares[0] - shares[1]).dropna().to_numpy()


def judged(frame: pd.DataFrame) -> list[dict]:
    """Every prediction on every score that the frame can decide; one row each.

    ``predicted`` is the sign the prediction gives the score's difference, ``verdict`` "confirmed",
    "refuted" or "undecided": the 95 % interval over subjects lies on the predicted side of zero,
    on the other, or contains it.
    """
    rows = []
    for prediction in PREDICTIONS:
        for score, harm in HARMS.items():
            values = each(frame, prediction, score)
            if len(values):
                rows.append(_row(prediction.claim, prediction.why, score, values,
                                 harm * prediction.more))  # fmt: skip
    if len(lead := first(frame)):
        why = "a shortcut is what is easier to learn than the thing itself"
        rows.append(_row(FIRST, why, "share of the rise", lead, 1))
    return rows


def _row(claim: str, why: str, score: str, values: np.ndarray, direction: int) -> dict:
    found = judge(values, direction)
    return {"claim": claim, "why": why, "score": score, "predicted": "+" if direction > 0 else "−",
            "verdict": verdict(found["holds"])} | found  # fmt: skip
