"""What attacks share that climb or descend a denoising loss under a prompt of their own."""

from __future__ import annotations

from ..tuning.regime import SnrGamma
from .objectives import DenoisingLoss
from .pgd_attack import PGDAttack
from .run import Run


class PromptedAttack(PGDAttack):
    """An attack whose model reads one prompt. The two fields are declared by each subclass, after
    its own: their order is part of what names stored work.

    Args:
        prompt: None is the subject's class prompt.
        snr_gamma: weigh the denoising loss by min-SNR with this γ; None does not.
    """

    prompt: str | None
    snr_gamma: SnrGamma

    def texts(self, run: Run) -> list[str]:
        return [run.subject.class_prompt if self.prompt is None else self.prompt]

    def denoising_loss(self, run: Run, direction: int = 1) -> DenoisingLoss:
        """The denoising loss of the pretrained model under the prompt."""
        model = run.models.diffusion
        context = model.embed(self.texts(run))
        return DenoisingLoss(model, context, direction, snr_gamma=self.snr_gamma)
