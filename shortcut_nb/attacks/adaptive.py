"""Attackers who know the defence: through its purifier, against its prompts, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion
from ..personalize.prompts import PROMPTS
from ..purify import roles
from ..subjects import Subject
from .aspl import ASPL
from .base import one_of, register
from .objectives import ALL, Objective
from .run import Run


def straight_through(work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``work(x)`` forward, the identity backward (BPDA, Athalye et al. 2018, section 4.1)."""
    with torch.no_grad():
        made = work(x.detach().clamp(0, 1))
    return x + (made - x).detach()


@dataclass(frozen=True, eq=False)
class Through:
    """An objective of purified pictures; each picture's purifier is seeded anew at each call.

    Args:
        full: take the purifier's own gradient (it must have ``differentiable``) and not BPDA's.
    """

    objective: Objective
    purifier: Any
    full: bool = False

    @property
    def direction(self) -> int:
        return self.objective.direction

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        shown = []
        for one, generator in zip(x.split(1), source, strict=True):
            drawn = int(torch.randint(1 << 30, (1,), generator=generator))
            purifier = reseeded(self.purifier, drawn)
            shown.append(purifier.differentiable(one) if self.full
                         else straight_through(purifier, one))  # fmt: skip
        return self.objective(torch.cat(shown).clamp(0, 1), source, rows)


def reseeded(purifier: Any, seed: int) -> Any:
    """A copy of a purifier, or of each link of a chain, with another seed; as it is without one."""
    if hasattr(purifier, "links"):
        return type(purifier)(tuple(reseeded(link, seed) for link in purifier.links))
    has_seed = any(f.name == "seed" for f in fields(purifier))
    return replace(purifier, seed=seed) if has_seed else purifier


@register("adaptive-aspl")
@dataclass(frozen=True)
class AdaptiveASPL(ASPL):
    """ASPL whose surrogates purify and train as the defender does.

    Args:
        purifier: the defender's, a name or a chain; "none" knows of no purifier.
        gradient: "straight-through" (BPDA), or "full" through the purifier's network.
        prompts: the defender's training prompts, "plain" or "cdl".
        repeats: draws of a random purifier averaged in each step (EOT).
        surrogate_text_lr: learning rate of the surrogates' text encoders; None is
            ``surrogate_lr``, 0 freezes them, as a defender may who holds the prompts' words.
    """

    purifier: str = "none"
    gradient: str = "straight-through"
    prompts: str = "plain"
    surrogate_text_lr: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.gradient, ("straight-through", "full"), "gradient")
        one_of(self.prompts, tuple(PROMPTS), "prompts")
        if self.surrogate_text_lr is not None and self.surrogate_text_lr < 0:
            raise ValueError(
                f"surrogate_text_lr must not be negative; got {self.surrogate_text_lr}"
            )
        if self.lab is not None and self.gradient == "full":
            purifier = self.lab.purifier(self.purifier)
            if not hasattr(purifier, "differentiable"):
                raise ValueError(
                    f"the purifier {self.purifier!r} has no gradient of its own: use "
                    'gradient="straight-through"'
                )

    def roles(self) -> tuple[str, ...]:
        return ("diffusion", *roles(self.lab.purifier(self.purifier)))

    def inputs(self) -> dict[str, Any]:
        return super().inputs() | {"purifier": repr(self.lab.purifier(self.purifier))}

    @property
    def training(self) -> dict[str, Any]:
        held = {} if self.surrogate_text_lr is None else {"text_lr": self.surrogate_text_lr}
        return super().training | held

    def words(self, subject: Subject) -> tuple[str, str]:
        said = self.lab.profile.prompts
        made = PROMPTS[self.prompts](subject, said.noise_token, said.negative)
        return made.instance, made.class_

    def seen(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.lab.purifier(self.purifier)(images)

    def objective(self, model: Diffusion, run: Run) -> Objective:
        inner = super().objective(model, run)
        if self.purifier == "none":
            return inner
        purifier = self.lab.purifier(self.purifier)
        return Through(inner, purifier, full=self.gradient == "full")
