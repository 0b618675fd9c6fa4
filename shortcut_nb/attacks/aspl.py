"""ASPL (Anti-DreamBooth, Van Le et al. 2023): surrogate and perturbation learn in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ..latents import latents_of
from ..personalize.lora import LowRank
from ..personalize.methods import Method
from ..settings import ADDED, Count, Whole
from ..tuning.lean import HOST
from .base import register
from .run import Run
from .surrogates import SurrogateAttack, averaged, make_room


@register("aspl")
@dataclass(frozen=True)
class ASPL(SurrogateAttack):
    """Alternating Surrogate and Perturbation Learning (section 4.3).

    Each round trains a copy of the surrogate on clean pictures (set A), takes PGD steps against
    the copy, then trains the surrogate itself on the perturbed pictures. With several base models
    each does so from the same pictures, and the results are averaged (E-ASPL).

    Args:
        rounds: of all that follows; 50 in the paper.
        clean_steps: training steps of the copy on clean pictures; 3.
        pgd_steps: PGD steps against the copy; 6.
        perturbed_steps: training steps of the surrogate on the perturbed pictures; 3.
        surrogate: "full" trains all weights; "lora" adapters alone, for far less memory, as an
            adversary with LoRA does. Give it LoRA's learning rate (1e-4) as ``surrogate_lr``.
        rank: of the adapters.
    """

    rounds: Count = 50
    clean_steps: Whole = 3
    pgd_steps: Count = 6
    perturbed_steps: Whole = 3
    surrogate: Literal["full", "lora"] = field(default="full", metadata=ADDED)
    rank: Count = field(default=4, metadata=ADDED)

    paper = {"eps": "6/255", "alpha": "0.6375/255"}  # 5e-2 and 5e-3 of [-1, 1]

    @property
    def training_steps(self) -> int:
        return self.rounds * self.perturbed_steps

    @property
    def total(self) -> int:
        return self.rounds

    def prepare(self, run: Run) -> None:
        run.surrogates = {name: self.fresh(run, name) for name in self.bases(run.models)}

    def rebuild(self, run: Run) -> None:
        self._keep_on_host(run)
        run.rebuilt["clean"] = {
            name: latents_of(base, self.defender_view(run, run.subject.a))
            for name, base in self.bases(run.models).items()
        }

    def round(self, run: Run, number: int) -> Tensor:
        turns = [self._turn(run, name, number) for name in run.surrogates]
        run.x, values = averaged(turns)
        return values

    def _turn(self, run: Run, name: str, number: int) -> tuple[Tensor, Tensor]:
        """One base model's part of a round: its pictures and its losses.

        The copy that looks ahead is the surrogate itself, which then goes back to where it was.
        """
        draw, model = self.generator(number), run.surrogates[name]
        behind = number * self.perturbed_steps
        with self.at_work(model):
            trainee = self.restarted(run, name, behind)
            before = self._copied(run, trainee.parameters)
            trainee.run(run.rebuilt["clean"][name], self.clean_steps, draw)
            make_room(trainee)
            x, values = self.climb(run, self.objective(model, run), self.pgd_steps)
            _put_back(before, trainee.parameters)
            latents = latents_of(self.bases(run.models)[name], self.defender_view(run, x))
            trainee.start_over(behind)
            trainee.run(latents, self.perturbed_steps, draw)
        return x, values

    @torch.no_grad()
    def _copied(self, run: Run, weights: Sequence[Tensor]) -> list[Tensor]:
        """The weights as they are now; in host memory with ``low_memory``."""
        copies = run.rebuilt.get("copies")
        if copies is not None:
            _put_back(weights, copies)
            return copies
        if self.low_memory:
            return [weight.to(HOST, copy=True) for weight in weights]
        copies = [weight.clone() for weight in weights]
        if self.keeps_memory(run):
            run.rebuilt["copies"] = copies
        return copies

    @property
    def method(self) -> Method:
        if self.surrogate == "full":
            return super().method
        return LowRank(self.rank, text=self.surrogate_text_lr != 0)

    def _keep_on_host(self, run: Run) -> None:
        """Surrogates wait in host memory with ``low_memory``; what they share stays."""
        if self.low_memory and self.surrogate == "full":
            for model in run.surrogates.values():
                for module in model.modules[1:]:
                    module.to(HOST)


@torch.no_grad()
def _put_back(values: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
    """Write values into weights, which may be on another device."""
    for value, weight in zip(values, weights, strict=True):
        weight.copy_(value.to(weight.device))


@register("t-aspl")
@dataclass(frozen=True)
class TargetedASPL(ASPL):
    """ASPL that also draws each denoising step towards a target picture's (section 4.4)."""

    targeted: bool = True
