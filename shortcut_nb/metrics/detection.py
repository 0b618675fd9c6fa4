"""Is there a face at all?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torch.nn import functional as F
from transformers import AutoModelForImageClassification

from ..images import check_images
from .base import Needs


@dataclass(frozen=True, eq=False)
class Detector:
    """A transformers ``ResNetForImageClassification`` with the labels "none" and "person".

    Pictures are resized to ``size`` (None: left as they are) and normalised to [-1, 1].
    A face is found where the probability of "person" reaches ``threshold``.
    """

    model: Module
    threshold: float = 0.5
    size: int | None = None
    batch: int = 64

    def __post_init__(self) -> None:
        if "person" not in self.model.config.label2id:
            got = ", ".join(map(str, self.model.config.label2id))
            raise ValueError(f'expected a classifier with the label "person", got {got}')

    @classmethod
    def from_folder(
        cls, path: str | Path, device: str | torch.device = "cpu", size: int | None = None
    ) -> Detector:
        """Open the classifier that ``save_pretrained`` wrote. Raises OSError if it is absent."""
        model = AutoModelForImageClassification.from_pretrained(str(path), dtype=torch.float32)
        return cls(model.eval().to(device), size=size)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Probability (n,) in [0, 1] that a picture (n, 3, H, W) in [0, 1] shows a person."""
        check_images(images)
        device = next(self.model.parameters()).device
        person = int(self.model.config.label2id["person"])
        parts = []
        for part in images.split(self.batch):
            x = part.to(device)
            if self.size is not None and tuple(x.shape[-2:]) != (self.size, self.size):
                x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
            logits = self.model((x - 0.5) / 0.5).logits.float()
            parts.append(logits.softmax(dim=-1)[:, person].cpu())
        return torch.cat(parts)

    def found(self, images: Tensor) -> np.ndarray:
        """Whether a face was found, (n,) bool."""
        return self(images).numpy() >= self.threshold


@dataclass(frozen=True, eq=False)
class Detection:
    """Face detection failure rate (FDFR; Anti-DreamBooth, Van Le et al. 2023).

    Columns: ``face`` is the probability in [0, 1]; ``face_missing`` is 1 where no face was
    found, so that its mean is the FDFR.
    """

    detector: Detector

    name: ClassVar[str] = "detection"
    needs: ClassVar[Needs] = "nothing"

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; ``references`` is not used."""
        face = self.detector(images).numpy().astype(np.float64)
        return {"face": face, "face_missing": (face < self.detector.threshold).astype(np.float64)}
