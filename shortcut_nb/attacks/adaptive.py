"""Attackers who know the defence: through its purifier, against its prompts, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion
from ..errors import UserError
from ..models import Models
from ..personalize.prompts import PROMPTS
from ..purify import BoundPurifier, Chain, Purifier, bound, build, kinds
from ..store.code import code_of
from .aspl import ASPL
from .base import register
from .objectives import ALL, Objective
from .run import Run


def straight_through(work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``work(x)`` forward, the identity backward (BPDA, Athalye et al. 2018, section 4.1)."""
    with torch.no_grad():
        result = work(x.detach().clamp(0, 1))
    return x + (result - x).detach()


@dataclass(frozen=True, eq=False)
class PurifiedObjective:
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
        cleaned = []
        for image, generator in zip(x.split(1), source, strict=True):
            drawn = int(torch.randint(1 << 30, (1,), generator=generator))
            purifier = reseeded(self.purifier, drawn)
            cleaned.append(
                purifier.differentiable(image) if self.full else straight_through(purifier, image)
            )
        return self.objective(torch.cat(cleaned).clamp(0, 1), source, rows)


def reseeded(purifier: Any, seed: int) -> Any:
    """A copy of a purifier, or of each link of a chain, with another seed; as it is without one."""
    if isinstance(purifier, BoundPurifier):
        return replace(purifier, settings=reseeded(purifier.settings, seed))
    if isinstance(purifier, Chain):
        return Chain(tuple(reseeded(link, seed) for link in purifier.links))
    has_seed = any(field.name == "seed" for field in fields(purifier))
    return replace(purifier, seed=seed) if has_seed else purifier


def _known(spec: str) -> Purifier:
    """A purifier with its own defaults; a wrong name is told to be the parameter's."""
    try:
        return build(spec)
    except UserError as error:
        raise UserError(f"adaptive-aspl: purifier: {error}") from None


@register("adaptive-aspl")
@dataclass(frozen=True)
class AdaptiveASPL(ASPL):
    """ASPL whose surrogates purify and train as the defender does.

    Args:
        purifier: the defender's, a name or a chain; "none" knows of no purifier.
        gradient: "straight-through" (BPDA), or "full" through the purifier's network.
        prompts: the defender's training prompts, "plain" or "cdl".
        repeats: draws of a random purifier averaged in each step (EOT).
    """

    purifier: str = "none"
    gradient: Literal["straight-through", "full"] = "straight-through"
    prompts: str = "plain"

    def __post_init__(self) -> None:
        super().__post_init__()
        PROMPTS.check(self.prompts)
        purifier = _known(self.purifier)
        if self.gradient == "full" and not hasattr(purifier, "differentiable"):
            raise UserError(
                f"the purifier {self.purifier!r} has no gradient of its own: use "
                'gradient="straight-through"'
            )

    def defender(self, models: Models, class_name: str | None = None) -> BoundPurifier:
        """The defender's purifier, as the profile sets it and for the subject's class."""
        return bound(self.purifier, models, class_name)

    def roles(self, models: Models) -> tuple[str, ...]:
        return ("diffusion", *self.defender(models).roles)

    def needs_base(self, run: Run) -> bool:
        return "diffusion" in self.defender(run.models).roles

    def inputs(self, models: Models) -> dict[str, Any]:
        defender = self.defender(models)
        code = code_of(kinds(defender), "purifier_code")
        code |= code_of([PROMPTS[self.prompts]], "prompts_code")
        return super().inputs(models) | {"purifier": repr(defender)} | code

    def words(self, run: Run) -> tuple[str, str]:
        default = run.models.profile.prompts
        prompts = PROMPTS[self.prompts](run.subject, default.noise_token, default.negative)
        return prompts.instance, prompts.class_

    def required_words(self, run: Run) -> str:
        return run.models.profile.prompts.noise_token

    def defender_view(self, run: Run, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.defender(run.models, run.subject.class_name)(images)

    def objective(self, model: Diffusion, run: Run) -> Objective:
        inner = super().objective(model, run)
        if self.purifier == "none":
            return inner
        purifier = self.defender(run.models, run.subject.class_name)
        return PurifiedObjective(inner, purifier, full=self.gradient == "full")
