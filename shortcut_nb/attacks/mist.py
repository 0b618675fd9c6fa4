"""Mist (Liang & Wu 2023): towards a textured target in latent space, off the model's score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..settings import ADDED, Weight
from ..tuning.regime import SnrGamma
from .base import register
from .objectives import DenoisingLoss, LatentDistance, LatentTerm, OnLatents
from .pgd_attack import PGDAttack
from .run import Run
from .target import target_latents


@register("mist")
@dataclass(frozen=True)
class Mist(PGDAttack):
    """Semantic (−L_ldm), textural (‖z − z_target‖²) or their fusion, descended.

    Args:
        mode: "semantic", "textural" or "fused" (textural − rate · semantic).
        rate: weight of L_ldm (a mean) against the sum of squares; 1e4 for 512-pixel latents with
            16,384 entries. None is 1e4 scaled to the number of latent entries at hand.
        prompt: None is the subject's class prompt.
        snr_gamma: weigh the denoising loss by min-SNR with this γ; None does not.
    """

    mode: Literal["semantic", "textural", "fused"] = "fused"
    rate: Weight | None = None
    prompt: str | None = None
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)

    def texts(self, run: Run) -> list[str]:
        return [run.subject.class_prompt if self.prompt is None else self.prompt]

    def objective(self, run: Run) -> OnLatents:
        model = run.models.diffusion
        goal = target_latents(model, run.clean)
        context = model.embed(self.texts(run))
        rate = 1e4 * goal.numel() / 16_384 if self.rate is None else self.rate
        semantic, textural = (
            DenoisingLoss(model, context, snr_gamma=self.snr_gamma),
            LatentDistance(goal),
        )
        terms: dict[str, list[tuple[float, LatentTerm]]] = {
            "semantic": [(-1.0, semantic)],
            "textural": [(1.0, textural)],
            "fused": [(1.0, textural), (-rate, semantic)],
        }
        return OnLatents(model, terms[self.mode])
