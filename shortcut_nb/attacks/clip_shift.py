"""Our own test of causality: maximise the very shift that the hypothesis blames.

If a shift from "person" to "noisy pattern" in CLIP space is what ruins fine-tuning, an attack on
nothing else should ruin it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from ..diffusion import Diffusion
from ..models import Models
from ..models.clip import Clip
from ..settings import Sign
from .base import register
from .objectives import ALL, Objective
from .pgd_attack import PGDAttack
from .run import Run


@dataclass(frozen=True, eq=False)
class ClipShift:
    """cos(picture, noise concept) − cos(picture, class concept), in [−2, 2]."""

    clip: Clip
    axis: Tensor
    direction: int = 1

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        return self.clip.image(x) @ self.axis


@register("clip-shift")
@dataclass(frozen=True)
class ClipShiftAttack(PGDAttack):
    """PGD on the CLIP shift; the diffusion model takes no part.

    Args:
        concept, noise: None are the first two of the profile's concepts.
        direction: −1 keeps pictures as far from the noise concept as the budget allows.
    """

    concept: str | None = None
    noise: str | None = None
    direction: Sign = 1

    def bases(self, models: Models) -> dict[str, Diffusion]:
        return {}

    def roles(self, models: Models) -> tuple[str, ...]:
        return ("clip",)

    def axis(self, run: Run) -> Tensor:
        """From the class concept to the noise concept in CLIP space, (d,)."""
        concepts = run.models.profile.concepts
        texts = [self.concept or concepts[0], self.noise or concepts[1]]
        person, noise = run.models.clip.text(texts)
        return noise - person

    def objective(self, run: Run) -> Objective:
        return ClipShift(run.models.clip, self.axis(run), self.direction)
