"""The reader of attributes, against what was drawn."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ...lab import Lab
from ...metrics import AttributeReader
from ..attributes import GROUPS, labels_of
from ..avatars import Identity, draw
from .pictures import people, to_batch


def hits(reader: AttributeReader, images: Tensor, truth: list[Identity]) -> dict[str, np.ndarray]:
    """By attribute: whether it was read right off each picture that can show it."""
    table = reader.read(images)
    labels = np.array([labels_of(who) for who in truth])
    correct = {}
    for column, (attribute, values) in enumerate(GROUPS.items()):
        visible = labels[:, column] >= 0
        expected = np.array(values)[labels[:, column]]
        correct[attribute] = (table[attribute].to_numpy() == expected)[visible]
    return correct


def right(reader: AttributeReader, images: Tensor, truth: list[Identity]) -> float:
    """The share of attributes read right, the mean over attributes."""
    return float(np.mean([one.mean() for one in hits(reader, images, truth).values()]))


def attributes(lab: Lab, seed: int = 0, count: int = 300) -> dict[str, float]:
    """Accuracy on clean pictures of people never seen, in all and by attribute."""
    drawn = people(count, seed)
    images = to_batch([draw(*one) for one in drawn])
    correct = hits(lab.measure("attributes"), images, [who for who, _ in drawn])
    by_name = {f"accuracy_{name}": float(one.mean()) for name, one in correct.items()}
    return {"accuracy": float(np.mean(list(by_name.values())))} | by_name
