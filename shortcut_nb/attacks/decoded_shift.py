"""The CLIP shift of what the diffusion model can see, with another attack's energy.

``clip-shift`` may fail to do harm for two reasons that say nothing about the hypothesis: the
autoencoder smooths its perturbation away, and it has less energy than the attacks it is compared
with. Here the shift that is climbed is that of decode(encode(x)), and every picture's perturbation
is brought to the root mean square of another attack's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from ..budget import Budget
from ..diffusion import Diffusion
from ..errors import UserError
from ..models import Models
from ..models.class_pictures import ClassPictures
from ..models.clip import Clip
from ..subjects import Subject
from .base import ATTACKS, Attack, build, register
from .clip_shift import ClipShiftAttack
from .objectives import ALL
from .run import Run

HALVINGS = 24
LARGEST = 2.0**20


@dataclass(frozen=True, eq=False)
class DecodedShift:
    """cos(decode(encode(x)), noise concept) − cos(decode(encode(x)), class concept)."""

    clip: Clip
    model: Diffusion
    axis: Tensor
    direction: int = 1

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        decoded = self.model.draw(self.model.posterior(x)[0]).clamp(0, 1)
        return self.clip.image(decoded) @ self.axis


@register("decoded-shift")
@dataclass(frozen=True)
class DecodedShiftAttack(ClipShiftAttack):
    """PGD on the CLIP shift of decode(encode(x)), with the energy of another attack.

    Args:
        match: name of the attack whose energy each picture is given, at the profile's settings of
            it, this budget and this seed, with ``low_memory`` where this has it; "" matches none.
    """

    match: str = "aspl"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.match and issubclass(ATTACKS[self.match], DecodedShiftAttack):
            raise UserError(f"match must name another attack, or be empty; got {self.match!r}")

    def bases(self, models: Models) -> dict[str, Diffusion]:
        return {"diffusion": models.diffusion}

    def roles(self, models: Models) -> tuple[str, ...]:
        return tuple(sorted({"clip", "diffusion", *self._others_roles(models)}))

    def inputs(self, models: Models) -> dict[str, Any]:
        other = self.builds_on(models)
        return super().inputs(models) | {"matched": _named(other, models) if other else None}

    def class_pictures(self, subject: Subject, models: Models) -> tuple[ClassPictures, ...]:
        other = self.builds_on(models)
        return other.class_pictures(subject, models) if other else ()

    def builds_on(self, models: Models) -> Attack | None:
        """The attack whose energy is matched."""
        if not self.match:
            return None
        given = models.profile.defaults.get(self.match, {}) | {"eps": self.eps, "seed": self.seed}
        return build(self.match, **(given | ({"low_memory": True} if self.low_memory else {})))

    def objective(self, run: Run) -> DecodedShift:
        models = run.models
        return DecodedShift(models.clip, models.diffusion, self.axis(run), self.direction)

    def before_offload(self, run: Run) -> None:
        other = self.builds_on(run.models)
        if other:
            run.constants["rms"] = rms(run.models.protected(other, run.subject) - run.clean)

    def round(self, run: Run, number: int) -> Tensor:
        values = super().round(run, number)
        if "rms" in run.constants:
            run.x = at_energy(run.x, run.clean, self.budget, run.constants["rms"])
        return values

    def _others_roles(self, models: Models) -> tuple[str, ...]:
        other = self.builds_on(models)
        return other.roles(models) if other else ()


def _named(other: Attack, models: Models) -> dict[str, Any]:
    """What another attack's result depends on, less what this one's own inputs name already."""
    common = Attack.inputs(other, models)
    further = {name: each for name, each in other.inputs(models).items() if name not in common}
    return other.config() | other.code() | further


def rms(change: Tensor) -> Tensor:
    """Root mean square of each picture's change (n, 3, H, W): (n,), as a share of [0, 1]."""
    return change.square().flatten(1).mean(1).sqrt()


def at_energy(x: Tensor, clean: Tensor, budget: Budget, wanted: Tensor) -> Tensor:
    """Scale each picture's perturbation, inside the ball, until its root mean square is as wanted.

    Args:
        x, clean: (n, 3, H, W) in [0, 1].
        wanted: (n,), as a share of [0, 1].

    Returns:
        clean + k·(x − clean), cut to the ball and to [0, 1], with k ≥ 0 for each picture. Where no
        k reaches what is wanted (no value that changed has room left), the largest.
    """
    change = x - clean

    def scaled(k: Tensor) -> Tensor:
        return budget.project(clean + k.view(-1, 1, 1, 1) * change, clean)

    low = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    high = torch.full_like(low, LARGEST)
    for _ in range(HALVINGS):  # in halves while k is large, so that small ones are found as well
        middle = torch.where(low > 0, (low * high).sqrt(), high / 1024)
        enough = rms(scaled(middle) - clean) >= wanted.to(x.device)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return scaled(high)
