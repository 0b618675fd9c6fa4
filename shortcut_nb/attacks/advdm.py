"""AdvDM (Liang et al. 2023): climb the denoising loss of the pretrained model."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..settings import ADDED, Sign
from ..tuning.regime import SnrGamma
from .base import register
from .objectives import DenoisingLoss
from .pgd_attack import PGDAttack
from .run import Run


@register("advdm")
@dataclass(frozen=True)
class AdvDM(PGDAttack):
    """max_δ L_ldm(x + δ) with the model as it is, one Monte-Carlo draw a step.

    Args:
        direction: +1 as published; −1 descends the loss (AdvDM−).
        prompt: None is the subject's class prompt.
        snr_gamma: weigh the denoising loss by min-SNR with this γ; None does not.
    """

    direction: Sign = 1
    prompt: str | None = None
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)

    def texts(self, run: Run) -> list[str]:
        return [run.subject.class_prompt if self.prompt is None else self.prompt]

    def objective(self, run: Run) -> DenoisingLoss:
        model = run.models.diffusion
        context = model.embed(self.texts(run))
        return DenoisingLoss(model, context, self.direction, snr_gamma=self.snr_gamma)
