"""AdvDM (Liang et al. 2023): climb the denoising loss of the pretrained model."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..settings import ADDED, Sign
from ..tuning.regime import SnrGamma
from .base import register
from .objectives import DenoisingLoss
from .prompted import PromptedAttack
from .run import Run


@register("advdm")
@dataclass(frozen=True)
class AdvDM(PromptedAttack):
    """max_δ L_ldm(x + δ) with the model as it is, one Monte-Carlo draw a step.

    Args:
        direction: +1 as published; −1 descends the loss (AdvDM−).
    """

    direction: Sign = 1
    prompt: str | None = None
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)

    def objective(self, run: Run) -> DenoisingLoss:
        return self.denoising_loss(run, self.direction)
