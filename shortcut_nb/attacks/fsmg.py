"""FSMG (Anti-DreamBooth, Van Le et al. 2023): PGD against a surrogate that was fully fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..latents import latents_of
from ..settings import Count, Whole
from ..tuning.modes import frozen
from .base import register
from .run import Run
from .surrogates import SurrogateAttack, averaged


@register("fsmg")
@dataclass(frozen=True)
class FSMG(SurrogateAttack):
    """Fully-trained Surrogate Model Guidance (section 4.2).

    A DreamBooth is trained on clean pictures (set A), then PGD climbs its denoising loss on set B.
    With several base models each takes ``inner_steps`` from the same pictures in a step, and the
    results are averaged (E-FSMG).

    Args:
        surrogate_steps: training steps of the surrogate, 1000 in the paper.
        steps: PGD steps (for an ensemble: rounds).
        inner_steps: PGD steps on each base model before the results are averaged.
    """

    surrogate_steps: Whole = 1000
    steps: Count = 100
    inner_steps: Count = 1

    fixed_surrogates = True
    paper = {"eps": "6/255", "alpha": "0.6375/255", "batch_size": 2}  # 5e-2 and 5e-3 of [-1, 1]

    @property
    def trainee_options(self) -> dict[str, Any]:
        """No further options, also as released: that surrogate is trained in float32 as usual."""
        return {}

    @property
    def training_steps(self) -> int:
        return self.surrogate_steps

    @property
    def total(self) -> int:
        return self.steps

    def prepare(self, run: Run) -> None:
        for name, base in self.bases(run.models).items():
            model = self.fresh(run, name)
            self.trainee(run, name, model).run(
                latents_of(base, self.defender_view(run, run.subject.a)),
                self.surrogate_steps,
                self.generator(0),
            )
            run.surrogates[name] = model

    def rebuild(self, run: Run) -> None:
        run.rebuilt["objectives"] = {
            name: self.objective(model, run) for name, model in run.surrogates.items()
        }

    def round(self, run: Run, number: int) -> Tensor:
        turns = []
        for name, objective in run.rebuilt["objectives"].items():
            with frozen(*run.surrogates[name].modules):
                turns.append(self.climb(run, objective, self.inner_steps))
        run.x, values = averaged(turns)
        return values


@register("t-fsmg")
@dataclass(frozen=True)
class TargetedFSMG(FSMG):
    """FSMG that also draws each denoising step towards a target picture's (section 4.4)."""

    targeted: bool = True
