"""AdvDM (Liang et al. 2023): climb the denoising loss of the pretrained model."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from ..diffusion import generators
from ..modes import frozen
from ..progress import OnStep, StepInfo
from ..subjects import Subject
from .base import Attack, AttackResult, parse_alpha, register
from .pgd import DenoisingLoss, pgd, start_uniform


@register("advdm")
@dataclass(frozen=True)
class AdvDM(Attack):
    """max_δ L_ldm(x + δ) with the model as it is, one Monte-Carlo draw a step.

    Args:
        alpha: step size "k/255".
        steps: PGD steps.
        direction: +1 as published; −1 descends the loss (AdvDM−).
        start: "uniform" in the ball, or "zero".
        prompt: None is the subject's class prompt.
    """

    alpha: str = "1/255"
    steps: int = 100
    direction: int = 1
    start: str = "uniform"
    prompt: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_alpha(self.alpha)
        if self.start not in ("uniform", "zero") or self.direction not in (1, -1) or self.steps < 1:
            raise ValueError(
                "expected steps >= 1, direction 1 or -1 and start 'uniform' or 'zero'; got "
                f"{self.steps}, {self.direction}, {self.start!r}"
            )

    def __call__(self, subject: Subject, on_step: OnStep | None = None) -> AttackResult:
        """Protect set B. Each picture's result depends on its own seed, not on its neighbours."""
        started, model, clean = time.monotonic(), self.lab.diffusion, subject.images
        seeds = [self.seed * 1009 + i for i in range(len(clean))]
        source = generators(seeds)
        with frozen(*model.modules):
            context = model.embed([self.prompt or subject.class_prompt])
            objective = DenoisingLoss(model, context, self.direction)
            x = start_uniform(clean, self.budget, source) if self.start == "uniform" else clean
            trace = []
            for step in range(self.steps):
                x, values = pgd(
                    objective, x, clean, self.budget, alpha=parse_alpha(self.alpha), steps=1,
                    source=source,
                )  # fmt: skip
                trace.append(values)
                if on_step:
                    on_step(StepInfo(step + 1, self.steps, {"loss": values.mean().item()}))
        images = self.budget.project_grid(x, clean)
        return AttackResult(
            images, clean, self.budget, self.budget.linf_pixels(images, clean),
            torch.cat(trace), self.config(), seeds, time.monotonic() - started,
        )  # fmt: skip
