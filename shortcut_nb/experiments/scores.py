"""The scores that questions ask about, and contrasts of two cells on several of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contrasts import Contrast

Scores = Mapping[str, tuple[str, str]]
"""By metric: what it is called in a contrast, and the predicted sign of its difference."""

TURNED = {"+": "-", "-": "+"}
WORSE = {
    "quality": ("quality", "-"),
    "ims_missing": ("identity", "-"),
    "attributes": ("attributes", "-"),
    "intact": ("intactness", "-"),
    "texture": ("texture", "+"),
    "coarse_texture": ("coarse texture", "+"),
    "apart": ("distance to clean training", "+"),
    "loss": ("the denoising loss", "+"),
}


def worse(*metrics: str) -> dict[str, tuple[str, str]]:
    """These scores with the sign of what is worse."""
    return {metric: WORSE[metric] for metric in metrics}


def better(*metrics: str) -> dict[str, tuple[str, str]]:
    """These scores with the sign of what is better."""
    return turned(worse(*metrics))


def turned(scores: Scores) -> dict[str, tuple[str, str]]:
    """The same scores with the other sign."""
    return {metric: (word, TURNED[sign]) for metric, (word, sign) in scores.items()}


def contrasts_between(
    name: str, high: str, low: str, scores: Scores, primary: str | None = None, **further: Any
) -> list[Contrast]:
    """What one cell has more of than another, a contrast a score.

    Args:
        name: of the contrasts, with {metric} or {word} in it.
        primary: the score by which this decides the question, if it does.
        further: fields of each contrast.
    """
    return [
        Contrast(
            name.format(metric=metric, word=word),
            metric,
            {high: 1, low: -1},
            expect=sign,
            primary=metric == primary,
            **further,
        )
        for metric, (word, sign) in scores.items()
    ]


def beyond_class(high: str, low: str) -> dict[str, float]:
    """Weights of two cells' difference in samples of V*, less that in samples of its class."""
    weights = {high: 1.0, low: -1.0}
    for cell, weight in dict(weights).items():
        place = cell if "=" in cell else f"condition={cell}"
        weights[f"{place} & sheet=class"] = -weight
    return weights
