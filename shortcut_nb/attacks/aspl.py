"""ASPL (Anti-DreamBooth, Van Le et al. 2023): surrogate and perturbation learn in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from ..diffusion import generators
from ..modes import frozen
from ..personalize.training import Trainee, latents_of
from ..progress import OnStep, StepInfo
from ..subjects import Subject
from .base import Attack, AttackResult, parse_alpha, register
from .pgd import DenoisingLoss, pgd


@register("aspl")
@dataclass(frozen=True)
class ASPL(Attack):
    """Alternating Surrogate and Perturbation Learning.

    Each round trains a copy of the surrogate on clean pictures (set A), takes PGD steps against
    the copy, then trains the surrogate itself on the perturbed pictures.

    Args:
        alpha: PGD step size "k/255".
        rounds, clean_steps, pgd_steps, perturbed_steps: 50, 3, 6, 3 in the paper.
        surrogate_lr: AdamW learning rate of the surrogate; the paper's 5e-7 is for SD 2.1.
        batch_size: instance pictures (and as many class pictures) in a surrogate step.
        prior_weight, class_images, prior_dropout: prior preservation, as in DreamBooth.
        variant: "corrected", or "released". The released code keeps its surrogate in bfloat16
            without float32 masters (most updates of 5e-7 round away), uses only the first
            pictures of each set, and clips no gradient since its parameter iterator is spent.
            "released" reproduces all three; bfloat16 weights are imitated by rounding.
    """

    alpha: str = "1/255"
    rounds: int = 50
    clean_steps: int = 3
    pgd_steps: int = 6
    perturbed_steps: int = 3
    surrogate_lr: float = 5e-7
    batch_size: int = 1
    prior_weight: float = 1.0
    class_images: int = 200
    prior_dropout: float = 0.0
    variant: str = "corrected"

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_alpha(self.alpha)
        if self.variant not in ("corrected", "released"):
            raise ValueError(f"variant must be 'corrected' or 'released'; got {self.variant!r}")
        if min(self.rounds, self.pgd_steps, self.batch_size) < 1:
            raise ValueError("rounds, pgd_steps and batch_size must be at least 1")

    def __call__(self, subject: Subject, on_step: OnStep | None = None) -> AttackResult:
        """Protect set B against DreamBooth on the subject's instance prompt."""
        started, lab, clean = time.monotonic(), self.lab, subject.images
        base = lab.diffusion
        seeds = [self.seed * 1009 + i for i in range(len(clean))]
        source = generators(seeds)
        released = self.variant == "released"
        prior = lab.prior_latents(subject.class_prompt, self.class_images)
        clean_set = latents_of(base, subject.a)
        surrogate, x, trace = base.clone(), clean, []

        def trainee(model) -> Trainee:
            return Trainee(
                model, (subject.instance_prompt, subject.class_prompt), prior,
                lr=self.surrogate_lr, batch_size=self.batch_size, prior_weight=self.prior_weight,
                prior_dropout=self.prior_dropout,
                max_grad_norm=None if released else 1.0, shuffle=not released,
                round_weights=torch.bfloat16 if released else None,
            )  # fmt: skip

        for number in range(self.rounds):
            draw = torch.Generator().manual_seed(self.seed * 7919 + number)
            lookahead = surrogate.clone()
            trainee(lookahead).run(clean_set, self.clean_steps, draw)
            with frozen(*lookahead.modules):
                objective = DenoisingLoss(lookahead, lookahead.embed([subject.instance_prompt]))
                x, values = pgd(
                    objective, x, clean, self.budget, alpha=parse_alpha(self.alpha),
                    steps=self.pgd_steps, source=source,
                )  # fmt: skip
            trace.append(values)
            del lookahead, objective  # one surrogate at a time in memory
            trainee(surrogate).run(latents_of(base, x), self.perturbed_steps, draw)
            if on_step:
                on_step(StepInfo(number + 1, self.rounds, {"loss": values.mean().item()}))
        images = self.budget.project_grid(x, clean)
        return AttackResult(
            images, clean, self.budget, self.budget.linf_pixels(images, clean),
            torch.cat(trace), self.config(), seeds, time.monotonic() - started,
        )  # fmt: skip
