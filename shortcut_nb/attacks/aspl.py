"""ASPL (Anti-DreamBooth, Van Le et al. 2023): surrogate and perturbation learn in turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ..diffusion import Diffusion
from ..latents import latents_of
from ..lean import HOST
from ..modes import frozen
from ..personalize.lora import LowRank
from ..personalize.methods import Method, named
from ..settings import ADDED, Count, Whole
from .base import register
from .run import Run
from .surrogates import SurrogateAttack


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
    def planned(self) -> int:
        return self.rounds * self.perturbed_steps

    @property
    def total(self) -> int:
        return self.rounds

    def prepare(self, run: Run) -> None:
        run.surrogates = {name: self.fresh(run, name) for name in self.bases(run.models)}

    def arm(self, run: Run) -> None:
        self._park(run)
        run.built["clean"] = {
            name: latents_of(base, self.seen(run, run.subject.a))
            for name, base in self.bases(run.models).items()
        }

    def round(self, run: Run, number: int) -> Tensor:
        turns = [self._turn(run, name, number) for name in run.surrogates]
        run.x = torch.stack([x for x, _ in turns]).mean(0)
        return torch.stack([values for _, values in turns]).mean(0)

    def _turn(self, run: Run, name: str, number: int) -> tuple[Tensor, Tensor]:
        """One base model's part of a round: its pictures and its losses."""
        draw, surrogate = self.generator(number), run.surrogates[name]
        behind = number * self.perturbed_steps
        lookahead = self._lookahead(surrogate)
        self.trainee(run, name, lookahead, behind).run(
            run.built["clean"][name], self.clean_steps, draw
        )
        with frozen(*lookahead.modules):
            x, values = self.climb(run, self.objective(lookahead, run), self.pgd_steps)
        del lookahead  # one surrogate's gradients at a time in memory
        latents = latents_of(self.bases(run.models)[name], self.seen(run, x))
        with self.at_work(surrogate):
            self.trainee(run, name, surrogate, behind).run(latents, self.perturbed_steps, draw)
        return x, values

    @property
    def method(self) -> Method:
        if self.surrogate == "full":
            return super().method
        return LowRank(self.rank, text=self.surrogate_text_lr != 0)

    def _park(self, run: Run) -> None:
        """Surrogates wait in host memory with ``low_memory``; what they share stays."""
        if self.low_memory and self.surrogate == "full":
            for model in run.surrogates.values():
                for module in model.modules[1:]:
                    module.to(HOST)

    def _lookahead(self, surrogate: Diffusion) -> Diffusion:
        """A copy to be trained on, on the device; what the training leaves alone is shared."""
        trained = {id(p) for p in self.method.state(surrogate).values()}
        copy = surrogate.clone([p for p in named(surrogate).values() if id(p) not in trained])
        for module in copy.modules[1:]:
            module.to(surrogate.pipe.vae.device)
        return copy


@register("t-aspl")
@dataclass(frozen=True)
class TargetedASPL(ASPL):
    """ASPL that also draws each denoising step towards a target picture's (section 4.4)."""

    targeted: bool = True
