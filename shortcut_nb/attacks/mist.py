"""Mist (Liang & Wu 2023): towards a textured target in latent space, off the model's score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..settings import ADDED, Weight
from ..tuning.regime import SnrGamma
from .base import register
from .objectives import LatentDistance, LatentTerm, OnLatents
from .prompted import PromptedAttack
from .run import Run
from .target import target_latents


@register("mist")
@dataclass(frozen=True)
class Mist(PromptedAttack):
    """Semantic (−L_ldm), textural (‖z − z_target‖²) or their fusion, descended.

    Args:
        mode: "semantic", "textural" or "fused" (textural − rate · semantic).
        rate: weight of L_ldm (a mean) against the sum of squares; 1e4 for 512-pixel latents with
            16,384 entries. None is 1e4 scaled to the number of latent entries at hand.
    """

    mode: Literal["semantic", "textural", "fused"] = "fused"
    rate: Weight | None = None
    prompt: str | None = None
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)

    def objective(self, run: Run) -> OnLatents:
        model = run.models.diffusion
        goal = target_latents(model, run.clean)
        rate = 1e4 * goal.numel() / 16_384 if self.rate is None else self.rate
        semantic = self.denoising_loss(run)
        textural = LatentDistance(goal)
        terms: dict[str, list[tuple[float, LatentTerm]]] = {
            "semantic": [(-1.0, semantic)],
            "textural": [(1.0, textural)],
            "fused": [(1.0, textural), (-rate, semantic)],
        }
        return OnLatents(model, terms[self.mode])
