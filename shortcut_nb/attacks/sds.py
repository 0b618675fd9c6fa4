"""SDS attacks (Xue et al. 2024, "Diff-Protect"): score distillation without a UNet Jacobian."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..settings import ADDED, Sign, Weight
from ..tuning.regime import SnrGamma
from .base import register
from .objectives import DenoisingLoss, LatentDistance, OnLatents, ScoreDistillation
from .pgd_attack import PGDAttack, Start
from .run import Run
from .target import target_latents


@register("sds")
@dataclass(frozen=True)
class SDS(PGDAttack):
    """J_E(x)ᵀ(ε_θ(z_t) − ε) in place of the gradient of L_ldm: the UNet runs forward only.

    Args:
        direction: −1 descends (SDS−, which the authors recommend: it blurs), +1 climbs.
        targeted: also descend ‖z − z_target‖² (SDST).
        rate: weight of the SDS term beside the target's.
        prompt: None is the subject's class prompt.
        snr_gamma: weigh the denoising loss by min-SNR with this γ; None does not.
    """

    start: Start = "zero"
    direction: Sign = -1
    targeted: bool = False
    rate: Weight = 5.0
    prompt: str | None = None
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)

    def texts(self, run: Run) -> list[str]:
        return [run.subject.class_prompt if self.prompt is None else self.prompt]

    def objective(self, run: Run) -> OnLatents:
        model = run.models.diffusion
        context = model.embed(self.texts(run))
        term = ScoreDistillation(DenoisingLoss(model, context, snr_gamma=self.snr_gamma))
        if not self.targeted:
            return OnLatents(model, [(1.0, term)], direction=self.direction)
        goal = LatentDistance(target_latents(model, run.clean))
        return OnLatents(model, [(-self.direction * self.rate, term), (1.0, goal)])
