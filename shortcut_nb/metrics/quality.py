"""How good a picture looks, judged by CLIP between opposite descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..models.clip import Clip
from .base import Column, Needs

PAIRS = (
    ("a good photo of a person", "a noisy photo of a person"),
    ("a clear photo", "a noisy photo"),
    ("sharp", "blurry"),
    ("a photo without noisy pattern", "a photo with noisy pattern"),
)


@dataclass(frozen=True, eq=False)
class ClipQuality:
    """CLIP-IQA (Wang et al. 2023, "Exploring CLIP for assessing the look and feel of images").

    For each pair of opposite prompts, the softmax probability of the good one, with the model's
    own scale; the mean over pairs. In [0, 1], higher is better. Positional embeddings are kept,
    where the paper drops them: pictures are resized to the size the tower knows.

    Raises:
        UserError: no pair, or one that is not of two prompts.
    """

    clip: Clip
    pairs: tuple[tuple[str, str], ...] = PAIRS

    name: ClassVar[str] = "quality"
    needs: ClassVar[Needs] = "nothing"
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {
        "quality": Column("quality, CLIP-IQA style", better="higher")
    }

    @classmethod
    def open(cls, models: Any) -> ClipQuality:
        """The metric on ``models.clip``."""
        return cls(models.clip)

    def __post_init__(self) -> None:
        if not self.pairs or any(len(pair) != 2 for pair in self.pairs):
            raise UserError(f"expected pairs of (good, bad) prompts, got {self.pairs!r}")

    @torch.no_grad()
    def per_pair(self, images: Tensor) -> np.ndarray:
        """Probability (n, pairs) in [0, 1] of the good prompt of each pair."""
        prompts = [prompt for pair in self.pairs for prompt in pair]
        cosine = self.clip.similarity(images, prompts)
        logits = (self.clip.scale * cosine).view(len(images), len(self.pairs), 2)
        return logits.softmax(dim=-1)[..., 0].cpu().numpy().astype(np.float64)

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; column ``quality``, (n,)."""
        return {"quality": self.per_pair(images).mean(axis=1)}
