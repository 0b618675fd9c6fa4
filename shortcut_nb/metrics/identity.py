"""Whose face it is: cosine to the mean embedding of a person's clean pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torch.nn import functional as F
from transformers import AutoModel

from ..images import check_images
from ..profile import ModelRef, Profile
from ..weights import check_weights
from ..weights.opening import open_model
from .base import Column, Needs, need_references
from .detection import Detector
from .prepare import HALF, prepare


@dataclass(frozen=True, eq=False)
class IdentityEncoder:
    """A transformers model whose pooled output says who (or what) a picture shows.

    The miniature's is a face recogniser (``ResNetModel``). The Stable Diffusion profiles take
    DINOv2, whose cosine is DreamBooth's own measure of subject fidelity (Ruiz et al. 2023, 4.2).
    ``size`` resizes pictures to a square first; None leaves them as they are. ``measures`` is what
    tables and figures call its cosine.
    """

    model: Module
    size: int | None = None
    pixel_mean: Sequence[float] = HALF
    pixel_std: Sequence[float] = HALF
    batch: int = 64
    measures: str = "identity match"

    @classmethod
    def from_folder(
        cls, path: str | Path, device: str | torch.device = "cpu", **options: Any
    ) -> IdentityEncoder:
        """Open the encoder that ``save_pretrained`` wrote; options are this class's fields.

        Raises BadWeights when it is absent, damaged or another model.
        """
        check_weights(path, "image-embedder")
        model = open_model(AutoModel, path)
        return cls(model.eval().to(device), **options)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Embed (n, 3, H, W) float32 in [0, 1] as (n, d) vectors of length 1, on the CPU."""
        check_images(images)
        device = next(self.model.parameters()).device
        parts = []
        for part in images.split(self.batch):
            x = prepare(part.to(device), self.size, self.pixel_mean, self.pixel_std)
            pooled = self.model(x).pooler_output.flatten(1)
            parts.append(F.normalize(pooled.float(), dim=-1).cpu())
        return torch.cat(parts)

    def mean(self, images: Tensor) -> Tensor:
        """The person: the mean of the pictures' embeddings, brought to length 1, shape (d,)."""
        return F.normalize(self(images).mean(dim=0), dim=-1)


@dataclass(frozen=True, eq=False)
class IdentityMatch:
    """Identity match score (IMS; ISM in Anti-DreamBooth, Van Le et al. 2023).

    The cosine in [-1, 1] of each picture to the normalised mean of the person's clean pictures.
    A picture without a face has no identity. Two columns say so in two ways: ``ims`` is NaN
    there (similarity given that a face was found) and ``ims_missing`` is ``missing`` there
    (a failure counts). No threshold is applied to the similarity.

    With ``detector=None`` every picture counts as a face.
    """

    encoder: IdentityEncoder
    detector: Detector | None = None
    missing: float = -1.0

    name: ClassVar[str] = "identity"
    needs: ClassVar[Needs] = "subject"
    columns: ClassVar[dict[str, Column]] = {
        "ims": Column("identity match where there is a face", better="higher"),
        "ims_missing": Column("identity match, −1 without a face", better="higher"),
    }

    @classmethod
    def named(cls, profile: Profile) -> dict[str, Column]:
        """The columns by what the profile's encoder measures, such as subject fidelity."""
        measures = _option(profile.identity, "measures", "identity match")
        finds = _option(profile.detector, "finds", "face")
        return {
            "ims": Column(f"{measures} where there is a {finds}", better="higher"),
            "ims_missing": Column(f"{measures}, −1 without a {finds}", better="higher"),
        }

    @classmethod
    def open(cls, models: Any) -> IdentityMatch:
        """The metric on ``models.identity`` and ``models.detector``."""
        return cls(models.identity, models.detector)

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) against (m, 3, H, W); columns ``ims`` and ``ims_missing``, (n,).

        Raises ValueError when there is no reference picture.
        """
        references = need_references("identity", "clean pictures of the person", references)
        cosine = (self.encoder(images) @ self.encoder.mean(references)).clamp(-1, 1)
        score = cosine.numpy().astype(np.float64)
        found = np.ones(len(score), bool) if self.detector is None else self.detector.found(images)
        return {
            "ims": np.where(found, score, np.nan),
            "ims_missing": np.where(found, score, self.missing),
        }


def _option(ref: ModelRef | None, name: str, default: str) -> str:
    return default if ref is None else str(ref.options.get(name, default))


def summarise(columns: dict[str, np.ndarray]) -> dict[str, float]:
    """Detection rate and conditional similarity, never one without the other.

    Takes what :class:`IdentityMatch` returned. ``ims`` is NaN when no face was found at all.
    """
    found = ~np.isnan(columns["ims"])
    return {
        "detection_rate": float(found.mean()),
        "ims": float(columns["ims"][found].mean()) if found.any() else float("nan"),
        "ims_missing": float(columns["ims_missing"].mean()),
        "n": len(found),
    }
