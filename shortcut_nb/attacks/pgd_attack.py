"""Attacks that are nothing but an objective for PGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt
from torch import Tensor

from ..settings import Count, StepSize, parse_alpha
from .base import Attack
from .objectives import Objective
from .pgd import pgd, start_uniform
from .run import Run

Start = Literal["uniform", "zero"]


@dataclass(frozen=True)
class PGDAttack(Attack):
    """PGD on one objective, which a subclass names in :meth:`objective`.

    Args:
        alpha: step size "k/255".
        steps: PGD steps.
        start: "uniform" in the ball, or "zero".
        momentum: see :func:`shortcut_nb.attacks.pgd.pgd`; 0 in every paper here.
        repeats: draws whose gradients are averaged in each step.
    """

    alpha: StepSize = "1/255"
    steps: Count = 100
    start: Start = "uniform"
    momentum: Annotated[float, Ge(0), Lt(10)] = 0.0
    repeats: Count = 1

    @property
    def total(self) -> int:
        return self.steps

    def objective(self, run: Run) -> Objective:
        """What this attack climbs or descends."""
        raise NotImplementedError(f"{type(self).__name__} does not name its objective")

    def step_size(self, number: int) -> float:
        """The step size of one step, as a share of [0, 1]."""
        return parse_alpha(self.alpha)

    def prepare(self, run: Run) -> None:
        if self.start == "uniform":
            run.x = start_uniform(run.clean, self.budget, run.generators)

    def rebuild(self, run: Run) -> None:
        run.rebuilt["objective"] = self.objective(run)

    def round(self, run: Run, number: int) -> Tensor:
        run.x, values = pgd(
            run.rebuilt["objective"],
            run.x,
            run.clean,
            self.budget,
            alpha=self.step_size(number),
            steps=1,
            source=run.generators,
            momentum=self.momentum,
            repeats=self.repeats,
            chunk=self.chunk,
            memory=run.state,
        )
        return values
