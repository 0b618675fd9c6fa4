"""Whose face it is: cosine to the mean embedding of a person's clean pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel

from ..profile import Profile
from .base import Column, Needs, need_references
from .detection import Detector
from .network import PictureNetwork

MISSING = -1.0
"""The match of a picture without a face, where a failure counts."""


@dataclass(frozen=True, eq=False)
class IdentityEncoder(PictureNetwork):
    """A transformers model whose pooled output says who (or what) a picture shows.

    The miniature's is a face recogniser (``ResNetModel``). The Stable Diffusion profiles take
    DINOv2, after DreamBooth's measure of subject fidelity (Ruiz et al. 2023, 4.2), which averages
    the cosines of DINO over pairs of pictures.
    ``measures`` is what tables and figures call its cosine.
    """

    measures: str = "identity match"

    loader: ClassVar[type] = AutoModel
    kind: ClassVar[str] = "image-embedder"

    def __call__(self, images: Tensor) -> Tensor:
        """Embed (n, 3, H, W) float32 in [0, 1] as (n, d) vectors of length 1, on the CPU."""
        pooled = self.outputs(images, lambda output: output.pooler_output.flatten(1))
        return F.normalize(pooled, dim=-1)

    def mean(self, images: Tensor) -> Tensor:
        """The person: the mean of the pictures' embeddings, brought to length 1, shape (d,)."""
        return F.normalize(self(images).mean(dim=0), dim=-1)


@dataclass(frozen=True, eq=False)
class IdentityMatch:
    """Identity match score (IMS; ISM in Anti-DreamBooth, Van Le et al. 2023).

    The cosine in [-1, 1] of each picture to the normalised mean of the person's clean pictures.
    A picture without a face has no identity. Two columns say so in two ways: ``ims`` is NaN
    there (similarity given that a face was found) and ``ims_missing`` is −1 there
    (a failure counts). No threshold is applied to the similarity.

    With ``detector=None`` every picture counts as a face.
    """

    encoder: IdentityEncoder
    detector: Detector | None = None

    name: ClassVar[str] = "identity"
    needs: ClassVar[Needs] = "subject"
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {
        "ims": Column("identity match where there is a face", better="higher"),
        "ims_missing": Column("identity match, −1 without a face", better="higher"),
    }

    @classmethod
    def named(cls, profile: Profile) -> dict[str, Column]:
        """The columns by what the profile's encoder measures, such as subject fidelity."""
        measures = IdentityEncoder.word("measures", profile.identity)
        finds = Detector.word("finds", profile.detector)
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

        Raises:
            UserError: no reference picture.
        """
        references = need_references("identity", "clean pictures of the person", references)
        cosine = (self.encoder(images) @ self.encoder.mean(references)).clamp(-1, 1)
        score = cosine.numpy().astype(np.float64)
        detected = (
            np.ones(len(score), bool) if self.detector is None else self.detector.detects(images)
        )
        return {
            "ims": np.where(detected, score, np.nan),
            "ims_missing": np.where(detected, score, MISSING),
        }
