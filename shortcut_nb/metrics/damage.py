"""How damaged a picture is, by a network that shares no word and no picture with a defence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from transformers import AutoModelForImageClassification

from ..errors import UserError
from .base import Column, Needs
from .network import PictureNetwork


@dataclass(frozen=True, eq=False)
class DamageRegressor(PictureNetwork):
    """A transformers image classifier with the one label "damage": its sigmoid is the amount.

    Raises:
        UserError: a model with other labels.
    """

    loader: ClassVar[type] = AutoModelForImageClassification
    kind: ClassVar[str] = "damage"

    def __post_init__(self) -> None:
        labels = list(self.model.config.label2id)
        if labels != ["damage"]:
            raise UserError(f'expected a model with the one label "damage", got {labels}')

    def __call__(self, images: Tensor) -> Tensor:
        """Damage (n,) in [0, 1] of pictures (n, 3, H, W) in [0, 1]."""
        return self.outputs(images, lambda output: output.logits[:, 0]).sigmoid()


@dataclass(frozen=True, eq=False)
class Intactness:
    """One minus the damage that the profile's measure "damage" sees: 1 is a clean picture."""

    regressor: DamageRegressor

    name: ClassVar[str] = "intactness"
    needs: ClassVar[Needs] = "nothing"
    networks: ClassVar[tuple[str, ...]] = ("damage",)
    columns: ClassVar[dict[str, Column]] = {"intact": Column("intactness", better="higher")}

    @classmethod
    def available(cls, models: Any) -> bool:
        """Whether the profile names the measure."""
        return models.has("measure:damage")

    @classmethod
    def open(cls, models: Any) -> Intactness:
        """The metric on the profile's measure "damage"."""
        return cls(models.measure("damage"))

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; column ``intact`` in [0, 1], (n,)."""
        return {"intact": 1 - self.regressor(images).numpy().astype(np.float64)}
