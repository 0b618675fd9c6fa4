"""PID (Li et al. 2024): no prompt at all; move the VAE's posterior as far as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion
from ..errors import UserError
from ..settings import Weight
from .base import register
from .objectives import ALL, pick
from .pgd_attack import PGDAttack
from .run import Run


@dataclass(frozen=True, eq=False)
class PosteriorShift:
    """Mean squared change of the posterior's mean, plus ``weight`` times that of its log std."""

    model: Diffusion
    mean: Tensor
    log_std: Tensor
    weight: float
    direction: ClassVar[int] = 1

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        mean, std = self.model.posterior(x)
        moved = (mean - pick(self.mean, rows)).square().flatten(1).mean(1)
        spread = (std.log() - pick(self.log_std, rows)).square().flatten(1).mean(1)
        return moved + self.weight * spread


@register("pid")
@dataclass(frozen=True)
class PID(PGDAttack):
    """Prompt-independent: shifts both moments of the latent posterior away from the clean ones.

    Args:
        weight: of the log standard deviation's change against the mean's.
    """

    weight: Weight = 0.1

    paper = {"eps": "13/255", "steps": 1000}  # 12.75/255

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start == "zero":
            raise UserError("at the clean picture PID's gradient is zero: use start='uniform'")

    def objective(self, run: Run) -> PosteriorShift:
        model = run.models.diffusion
        with torch.no_grad():
            mean, std = model.posterior(run.clean)
        return PosteriorShift(model, mean, std.log(), self.weight)
