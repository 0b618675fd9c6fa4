"""Is there a face at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from transformers import AutoModelForImageClassification, AutoModelForObjectDetection

from ..images import check_images
from ..profile import Profile
from ..weights import check_weights
from ..weights.opening import open_model
from .base import Column, Needs
from .prepare import HALF, prepare


@dataclass(frozen=True, eq=False)
class Detector:
    """A transformers image classifier with the label "person", such as the miniature's.

    Pictures are resized to ``size`` (None: left as they are) and normalised by
    ``pixel_mean`` and ``pixel_std``. A face is found where the probability of "person" reaches
    ``threshold``. ``finds`` is what tables and figures call it: a face, or a whole person.
    """

    model: Module
    threshold: float = 0.5
    size: int | None = None
    pixel_mean: Sequence[float] = HALF
    pixel_std: Sequence[float] = HALF
    batch: int = 64
    finds: str = "face"

    loader: ClassVar[type] = AutoModelForImageClassification

    def __post_init__(self) -> None:
        if "person" not in self.model.config.label2id:
            got = ", ".join(map(str, self.model.config.label2id))
            raise ValueError(f'expected a model with the label "person", got {got}')

    @classmethod
    def from_folder(
        cls, path: str | Path, device: str | torch.device = "cpu", **options: Any
    ) -> Detector:
        """Open the model that ``save_pretrained`` wrote; options are this class's fields.

        Raises BadWeights if it is absent, damaged or another model.
        """
        check_weights(path, "image-classifier")
        model = open_model(cls.loader, path)
        return cls(model.eval().to(device), **options)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Probability (n,) in [0, 1] that a picture (n, 3, H, W) in [0, 1] shows a person."""
        check_images(images)
        device = next(self.model.parameters()).device
        person = int(self.model.config.label2id["person"])
        parts = []
        for part in images.split(self.batch):
            x = prepare(part.to(device), self.size, self.pixel_mean, self.pixel_std)
            parts.append(self._person(self.model(x).logits.float(), person).cpu())
        return torch.cat(parts)

    def _person(self, logits: Tensor, person: int) -> Tensor:
        return logits.softmax(dim=-1)[:, person]

    def found(self, images: Tensor) -> np.ndarray:
        """Whether a face was found, (n,) bool."""
        return self(images).numpy() >= self.threshold


@dataclass(frozen=True, eq=False)
class ObjectDetector(Detector):
    """A transformers object detector (DETR, YOLOS): the surest "person" of all its boxes."""

    loader: ClassVar[type] = AutoModelForObjectDetection

    def _person(self, logits: Tensor, person: int) -> Tensor:
        return logits.softmax(dim=-1)[..., person].amax(dim=1)


@dataclass(frozen=True, eq=False)
class Detection:
    """Face detection failure rate (FDFR; Anti-DreamBooth, Van Le et al. 2023).

    Columns: ``face`` is the probability in [0, 1]; ``face_missing`` is 1 where no face was
    found, so that its mean is the FDFR.
    """

    detector: Detector

    name: ClassVar[str] = "detection"
    needs: ClassVar[Needs] = "nothing"
    columns: ClassVar[dict[str, Column]] = {
        "face": Column("probability of a face", better="higher"),
        "face_missing": Column("no face found", "share of pictures", "lower"),
    }

    @classmethod
    def named(cls, profile: Profile) -> dict[str, Column]:
        """The columns by what the profile's detector finds: a face, or a person."""
        ref = profile.detector
        finds = "face" if ref is None else ref.options.get("finds", "face")
        return {
            "face": Column(f"probability of a {finds}", better="higher"),
            "face_missing": Column(f"no {finds} found", "share of pictures", "lower"),
        }

    @classmethod
    def open(cls, models: Any) -> Detection:
        """The metric on ``models.detector``."""
        return cls(models.detector)

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; ``references`` is not used."""
        face = self.detector(images).numpy().astype(np.float64)
        return {"face": face, "face_missing": (face < self.detector.threshold).astype(np.float64)}
