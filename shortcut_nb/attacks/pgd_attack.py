"""Attacks that are nothing but an objective for PGD."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .base import Attack, one_of, parse_alpha
from .objectives import Objective
from .pgd import pgd, start_uniform
from .run import Run


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

    alpha: str = "1/255"
    steps: int = 100
    start: str = "uniform"
    momentum: float = 0.0
    repeats: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_alpha(self.alpha)
        one_of(self.start, ("uniform", "zero"), "start")
        if self.steps < 1 or self.repeats < 1 or self.momentum < 0:
            raise ValueError(
                "steps and repeats must be at least 1 and momentum not negative; got "
                f"{self.steps}, {self.repeats}, {self.momentum}"
            )

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
            run.x = start_uniform(run.clean, self.budget, run.source)

    def arm(self, run: Run) -> None:
        run.made["objective"] = self.objective(run)

    def round(self, run: Run, number: int) -> Tensor:
        run.x, values = pgd(
            run.made["objective"], run.x, run.clean, self.budget, alpha=self.step_size(number),
            steps=1, source=run.source, momentum=self.momentum, repeats=self.repeats,
            chunk=self.chunk, memory=run.kept,
        )  # fmt: skip
        return values
