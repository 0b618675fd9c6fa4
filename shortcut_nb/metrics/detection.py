"""Whether a picture shows a face, or a person: classifiers, detectors, and the failure rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from transformers import AutoModelForImageClassification, AutoModelForObjectDetection

from ..errors import UserError
from ..profile import Profile
from .base import Column, Needs
from .network import PictureNetwork


@dataclass(frozen=True, eq=False)
class Detector(PictureNetwork):
    """A transformers image classifier with the label "person", such as the miniature's.

    A face is found where the probability of "person" reaches ``threshold``. ``finds`` is what
    tables and figures call it: a face, or a whole person.

    Raises:
        UserError: a model without the label "person".
    """

    threshold: float = 0.5
    finds: str = "face"

    loader: ClassVar[type] = AutoModelForImageClassification
    kind: ClassVar[str] = "image-classifier"

    def __post_init__(self) -> None:
        if "person" not in self.model.config.label2id:
            labels = ", ".join(map(str, self.model.config.label2id))
            raise UserError(f'expected a model with the label "person", got {labels}')

    def __call__(self, images: Tensor) -> Tensor:
        """Probability (n,) in [0, 1] that a picture (n, 3, H, W) in [0, 1] shows a person."""
        person = int(self.model.config.label2id["person"])
        return self.outputs(images, lambda output: self._person(output.logits.float(), person))

    def _person(self, logits: Tensor, person: int) -> Tensor:
        return logits.softmax(dim=-1)[:, person]

    def detects(self, images: Tensor) -> np.ndarray:
        """Whether a face was found, (n,) bool."""
        return self(images).numpy() >= self.threshold


@dataclass(frozen=True, eq=False)
class ObjectDetector(Detector):
    """A transformers object detector (DETR, YOLOS): the surest "person" of all its boxes."""

    loader: ClassVar[type] = AutoModelForObjectDetection
    kind: ClassVar[str] = "object-detector"

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
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {
        "face": Column("probability of a face", better="higher"),
        "face_missing": Column("no face found", "share of pictures", "lower"),
    }

    @classmethod
    def named(cls, profile: Profile) -> dict[str, Column]:
        """The columns by what the profile's detector finds: a face, or a person."""
        finds = Detector.word("finds", profile.detector)
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
