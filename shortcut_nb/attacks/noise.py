"""The control: random noise at the same budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..diffusion import Diffusion
from ..models import Models
from .base import Attack, register
from .pgd import start_uniform
from .run import Run


@register("noise")
@dataclass(frozen=True)
class RandomNoise(Attack):
    """Random signs at full budget, or uniform noise: no model takes part.

    Args:
        kind: "sign" is the whole budget up or down at every value, "uniform" anything within it.
    """

    opens_models = False
    kind: Literal["sign", "uniform"] = "sign"

    @property
    def total(self) -> int:
        return 1

    def bases(self, models: Models) -> dict[str, Diffusion]:
        return {}

    def roles(self, models: Models) -> tuple[str, ...]:
        return ()

    def round(self, run: Run, number: int) -> Tensor:
        if self.kind == "uniform":
            run.x = start_uniform(run.clean, self.budget, run.generators)
        else:
            drawn = [torch.rand(run.clean.shape[1:], generator=g) * 2 - 1 for g in run.generators]
            signs = torch.stack(drawn).sign().to(run.clean.device)
            run.x = self.budget.project(run.clean + self.budget.unit * signs, run.clean)
        return torch.zeros(0, len(run.x))


@register("noise-uniform")
@dataclass(frozen=True)
class UniformNoise(RandomNoise):
    """Uniform noise in the ball: about 4.8 dB weaker than random signs at the same budget."""

    opens_models = False
    kind: Literal["sign", "uniform"] = "uniform"
