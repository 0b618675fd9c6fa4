"""How damaged a picture is, by a network that shares no word and no picture with a defence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from transformers import AutoModelForImageClassification

from ..images import check_images
from ..weights import check_weights
from ..weights.opening import open_model
from .base import Column, Needs
from .prepare import HALF, prepare


@dataclass(frozen=True, eq=False)
class DamageRegressor:
    """A transformers image classifier with the one label "damage": its sigmoid is the amount."""

    model: Module
    size: int | None = None
    pixel_mean: Sequence[float] = HALF
    pixel_std: Sequence[float] = HALF
    batch: int = 64

    def __post_init__(self) -> None:
        labels = list(self.model.config.label2id)
        if labels != ["damage"]:
            raise ValueError(f'expected a model with the one label "damage", got {labels}')

    @classmethod
    def from_folder(
        cls, path: str | Path, device: str | torch.device = "cpu", **options: Any
    ) -> DamageRegressor:
        """Open the model that ``save_pretrained`` wrote; options are this class's fields.

        Raises BadWeights if it is absent, damaged or another model.
        """
        check_weights(path, "damage")
        model = open_model(AutoModelForImageClassification, path)
        return cls(model.eval().to(device), **options)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Damage (n,) in [0, 1] of pictures (n, 3, H, W) in [0, 1]."""
        check_images(images)
        device = next(self.model.parameters()).device
        parts = []
        for part in images.split(self.batch):
            x = prepare(part.to(device), self.size, self.pixel_mean, self.pixel_std)
            parts.append(self.model(x).logits.float()[:, 0].sigmoid().cpu())
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class Intactness:
    """One minus the damage that the profile's measure "damage" sees: 1 is a clean picture."""

    regressor: DamageRegressor

    name: ClassVar[str] = "intactness"
    needs: ClassVar[Needs] = "nothing"
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
