"""The control: random noise at the same budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Attack, one_of, register
from .run import Run


@register("noise")
@dataclass(frozen=True)
class RandomNoise(Attack):
    """Random signs at full budget (``kind="sign"``) or uniform noise: no model takes part."""

    kind: str = "sign"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.kind, ("sign", "uniform"), "kind")

    @property
    def total(self) -> int:
        return 1

    def bases(self) -> dict:
        return {}

    def roles(self) -> tuple[str, ...]:
        return ()

    def round(self, run: Run, number: int) -> Tensor:
        drawn = [torch.rand(run.clean.shape[1:], generator=g) * 2 - 1 for g in run.source]
        offset = torch.stack(drawn).to(run.clean.device)
        offset = offset.sign() if self.kind == "sign" else offset
        run.x = self.budget.project(run.clean + self.budget.unit * offset, run.clean)
        return torch.zeros(0, len(run.x))


@register("noise-uniform")
@dataclass(frozen=True)
class UniformNoise(RandomNoise):
    """Uniform noise in the ball: about 4.8 dB weaker than random signs at the same budget."""

    kind: str = "uniform"
