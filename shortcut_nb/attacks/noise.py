"""The control: random noise at the same budget."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from ..diffusion import generators
from ..progress import OnStep, StepInfo
from ..subjects import Subject
from .base import Attack, AttackResult, no_trace, register


@register("noise")
@dataclass(frozen=True)
class RandomNoise(Attack):
    """Random signs at full budget (``kind="sign"``) or uniform noise: no model takes part."""

    kind: str = "sign"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("sign", "uniform"):
            raise ValueError(f"kind must be 'sign' or 'uniform'; got {self.kind!r}")

    def __call__(self, subject: Subject, on_step: OnStep | None = None) -> AttackResult:
        """Protect set B; see :class:`shortcut_nb.attacks.base.AttackResult`."""
        started, clean = time.monotonic(), subject.images
        seeds = [self.seed * 1009 + i for i in range(len(clean))]
        offset = torch.stack(
            [torch.rand(clean.shape[1:], generator=g) * 2 - 1 for g in generators(seeds)]
        )
        offset = offset.sign() if self.kind == "sign" else offset
        images = self.budget.project_grid(clean + self.budget.unit * offset, clean)
        if on_step:
            on_step(StepInfo(1, 1))
        return AttackResult(
            images, clean, self.budget, self.budget.linf_pixels(images, clean),
            no_trace(len(clean)), self.config(), seeds, time.monotonic() - started,
        )  # fmt: skip
