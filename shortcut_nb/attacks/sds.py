"""SDS attacks (Xue et al. 2024, "Diff-Protect"): score distillation without a UNet Jacobian."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..settings import ADDED, Sign, Weight
from ..tuning.regime import SnrGamma
from .base import register
from .objectives import LatentDistance, OnLatents, ScoreDistillation
from .pgd_attack import Start
from .prompted import PromptedAttack
from .run import Run
from .target import target_latents


@register("sds")
@dataclass(frozen=True)
class SDS(PromptedAttack):
    """J_E(x)ᵀ(ε_θ(z_t) − ε) in place of the gradient of L_ldm: the UNet runs forward only.

    Args:
        direction: −1 descends (SDS−, which the authors recommend: it blurs), +1 climbs.
        targeted: also descend ‖z − z_target‖² (SDST).
        rate: weight of the SDS term beside the target's.
    """

    start: Start = "zero"
    direction: Sign = -1
    targeted: bool = False
    rate: Weight = 5.0
    prompt: str | None = None
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)

    def objective(self, run: Run) -> OnLatents:
        model = run.models.diffusion
        term = ScoreDistillation(self.denoising_loss(run))
        if not self.targeted:
            return OnLatents(model, [(1.0, term)], direction=self.direction)
        goal = LatentDistance(target_latents(model, run.clean))
        return OnLatents(model, [(-self.direction * self.rate, term), (1.0, goal)])
