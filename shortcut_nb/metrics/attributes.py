"""Which of a person's attributes a picture still shows: hair, glasses, beard and the like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from torch import Tensor
from transformers import AutoModelForImageClassification

from ..errors import UserError
from .base import Column, Needs, need_references
from .network import PictureNetwork
from .sample_probes import SAMPLE_PROBES, SampleProbe

TRAIT = "trait_"
"""What the columns of a person's attributes begin with, as many as the reader knows."""


@dataclass(frozen=True, eq=False)
class AttributeReader(PictureNetwork):
    """A transformers image classifier with one softmax for each attribute.

    Its labels read "attribute:VALUE"; labels of one attribute lie next to each other.

    Raises:
        UserError: a label of another form.
    """

    loader: ClassVar[type] = AutoModelForImageClassification
    kind: ClassVar[str] = "attributes"

    def __post_init__(self) -> None:
        if wrong := [name for name in self._labels if ":" not in name]:
            raise UserError(f"expected labels such as 'glasses:ROUND'; got {wrong[0]!r}")

    @property
    def _labels(self) -> list[str]:
        names = self.model.config.id2label
        return [names[i] for i in range(len(names))]

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The values of each attribute, in the order of the labels."""
        groups: dict[str, list[str]] = {}
        for label in self._labels:
            attribute, _, value = label.partition(":")
            groups.setdefault(attribute, []).append(value)
        return groups

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """By attribute: the probability (n, values) of each value, for (n, 3, H, W) in [0, 1]."""
        logits = self.outputs(images, lambda output: output.logits)
        widths = [len(values) for values in self.groups.values()]
        columns = logits.split(widths, dim=1)
        return {name: part.softmax(1) for name, part in zip(self.groups, columns, strict=True)}

    def read(self, images: Tensor) -> pd.DataFrame:
        """The likeliest value of each attribute, one row per picture, one column per attribute."""
        columns = {}
        for attribute, shares in self.probabilities(images).items():
            values = np.array(self.groups[attribute])
            columns[attribute] = values[shares.argmax(1).numpy()]
        return pd.DataFrame(columns)

    def of_person(self, images: Tensor) -> dict[str, str]:
        """What several pictures of one person agree on: the value of the highest mean."""
        means = {name: part.mean(0) for name, part in self.probabilities(images).items()}
        return {name: self.groups[name][int(mean.argmax())] for name, mean in means.items()}

    def kept(self, images: Tensor, references: Tensor) -> pd.DataFrame:
        """Whether each picture shows each attribute of the person in the references, as bool."""
        person = self.of_person(references)
        return self.read(images).eq(pd.Series(person))


@dataclass(frozen=True, eq=False)
class AttributeMatch:
    """The share of a person's attributes that a picture shows, as read off clean pictures."""

    reader: AttributeReader

    name: ClassVar[str] = "attributes"
    needs: ClassVar[Needs] = "subject"
    networks: ClassVar[tuple[str, ...]] = ("attributes",)
    columns: ClassVar[dict[str, Column]] = {
        "attributes": Column("traits read right", "share", "higher")
    }

    @classmethod
    def available(cls, models: Any) -> bool:
        """Whether the profile names the measure."""
        return models.has("measure:attributes")

    @classmethod
    def open(cls, models: Any) -> AttributeMatch:
        """The metric on the profile's measure "attributes"."""
        return cls(models.measure("attributes"))

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) against clean pictures (m, 3, H, W); column ``attributes``, (n,).

        Raises:
            UserError: no reference picture.
        """
        references = need_references(self.name, "clean pictures of the person", references)
        kept = self.reader.kept(images, references)
        return {"attributes": kept.mean(axis=1).to_numpy(np.float64)}


def traits(models: Any, images: Tensor, references: Tensor) -> dict[str, list[float]]:
    """Whether each sample shows each of the person's attributes, 0 or 1: a column for each."""
    kept = models.measure("attributes").kept(images, references).astype(float)
    return {f"{TRAIT}{name}": list(kept[name]) for name in kept}


SAMPLE_PROBES.add("traits", SampleProbe(traits, ("measure:attributes",), columns={}, prefix=TRAIT))
