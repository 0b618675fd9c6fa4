"""PhotoGuard (Salman et al. 2023): pull the latents, or a whole edit, towards a useless target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Le
from diffusers import DDIMScheduler
from torch import Generator, Tensor

from ..diffusion import Diffusion, draw_normal
from ..settings import Count, Guidance, SampleSteps, Share, parse_alpha
from .base import register
from .objectives import ALL, LatentDistance, OnLatents
from .pgd_attack import PGDAttack, Start
from .run import Run
from .target import target_image, target_latents

Target = Literal["zero", "pattern"]


@register("photoguard")
@dataclass(frozen=True)
class PhotoGuardEncoder(PGDAttack):
    """The encoder attack (section 4.1): min_δ ‖E_mean(x + δ) − z_target‖₂.

    Args:
        target: "zero", as published, or "pattern": a tiled picture, which comes
            near to what Diff-Protect calls PhotoGuard (see docs/attacks.md).
        decay: shrink the step linearly to a hundredth, as the published notebook does.
    """

    steps: Count = 200
    target: Target = "zero"
    decay: bool = True

    paper = {"eps": "8/255", "alpha": "2.55/255", "steps": 1000}  # 0.06 and 0.02 of [-1, 1]

    def step_size(self, number: int) -> float:
        alpha = parse_alpha(self.alpha)
        return alpha * (1 - 0.99 * number / self.steps) if self.decay else alpha

    def objective(self, run: Run) -> OnLatents:
        model = run.models.diffusion
        goal = target_latents(model, run.clean) / model.scaling
        goal = torch.zeros_like(goal) if self.target == "zero" else goal
        term = LatentDistance(goal, root=True)
        return OnLatents(model, [(1.0, term)], sampled=False, scaled=False)


@dataclass(frozen=True, eq=False)
class EditDistance:
    """How far an image-to-image edit of a picture ends from a target picture: l2 over [-1, 1].

    The edit noises the latents part of the way and denoises them in a few DDIM steps. Gradients
    flow through all of it, so it is written out here: diffusers' image-to-image pipeline, which
    ``Diffusion.edit`` calls, takes none.

    Args:
        context: embedded prompts of the edit: the prompt's own, or the empty one and the prompt's,
            which turns guidance on; (1 or 2, length, width).
        target: (1, 3, H, W) in [0, 1].
        strength: how far the edit noises the latents, in (0, 1].
        sampling_steps: denoising steps of the edit.
        eta: of the DDIM sampler.
    """

    model: Diffusion
    context: Tensor
    target: Tensor
    strength: float
    sampling_steps: int
    guidance_scale: float
    eta: float
    direction: ClassVar[int] = -1  # the distance is to fall

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        model, scheduler = self.model, DDIMScheduler.from_config(self.model.noise_schedule.config)
        every = scheduler.config.num_train_timesteps
        scheduler.set_timesteps(min(every, round(self.sampling_steps / self.strength)))
        steps = scheduler.timesteps[-self.sampling_steps :].tolist()
        times = torch.tensor(steps, device=model.device)
        z = model.posterior(x)[0]
        noise = draw_normal(z.shape[1:], source).to(z.device)
        z = scheduler.add_noise(z, noise, times[:1].expand(len(z)))
        context = self.context.repeat_interleave(len(z), 0)
        for step, t in zip(steps, times, strict=True):  # a number on the GPU makes the CPU wait
            doubled = torch.cat([z] * len(self.context))
            guess = model.denoise(doubled, t, context)
            if len(self.context) == 2:
                empty, conditional = guess.chunk(2)
                guess = empty + self.guidance_scale * (conditional - empty)
            extra = draw_normal(z.shape[1:], source).to(z.device) if self.eta > 0 else None
            z = scheduler.step(guess, step, z, eta=self.eta, variance_noise=extra).prev_sample
        away = 2 * (model.draw(z) - self.target.to(z.device))
        return (away.square().flatten(1).sum(1) + 1e-12).sqrt()


@register("photoguard-diffusion")
@dataclass(frozen=True)
class PhotoGuardDiffusion(PGDAttack):
    """The diffusion attack (section 4.2): through the sampler itself, towards mid-grey.

    The publication attacks an inpainting model within an l2 ball; here it is image-to-image with
    the profile's model within the common l∞ ball.

    Args:
        prompt: of the edit; with the empty prompt guidance has no effect and costs nothing.
        strength: how far the edit noises the latents, in (0, 1]; on the grid of its steps, so that
            fewer steps begin at less noise (at 0.5, 4 steps begin at 376 of 1,000).
        sampling_steps: denoising steps of the edit.
        guidance_scale: of the edit.
        eta: of the edit's DDIM sampler; 1 adds fresh noise at every step.
        target: "zero" is mid-grey, "pattern" the target picture of Mist.
    """

    steps: Count = 50
    start: Start = "zero"
    prompt: str = ""
    strength: Annotated[float, Gt(0), Le(1)] = 0.5
    sampling_steps: SampleSteps = 4
    guidance_scale: Guidance = 7.5
    eta: Share = 1.0
    target: Target = "zero"

    paper = {"eps": "13/255", "alpha": "0.765/255", "steps": 200, "repeats": 10}

    def texts(self, run: Run) -> list[str]:
        return ["", self.prompt] if self.prompt else [""]

    def objective(self, run: Run) -> EditDistance:
        model, sides = run.models.diffusion, run.clean.shape[-2:]
        grey = torch.full((1, 3, *sides), 0.5)
        goal = grey if self.target == "zero" else target_image(*sides)
        return EditDistance(
            model,
            model.embed(self.texts(run)),
            goal,
            self.strength,
            self.sampling_steps,
            self.guidance_scale,
            self.eta,
        )
