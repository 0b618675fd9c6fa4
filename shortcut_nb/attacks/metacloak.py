"""MetaCloak (Liu et al. 2024): many surrogates along fine-tuning, and random transformations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Gt, Le
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor
from torchvision.transforms.functional import gaussian_blur, hflip

from ..diffusion import Diffusion
from ..errors import UserError
from ..files import writing
from ..latents import Latents, latents_of
from ..models import Models
from ..settings import Count, Share
from ..tuning.modes import frozen
from .base import register
from .objectives import ALL, Objective
from .run import Run, load_weights, snapshot
from .surrogates import SurrogateAttack, make_room

LEAST_BLUR = 0.1
"""The least standard deviation of a random blur, in pixels: it leaves a picture as it is."""
KERNEL = 7
"""Width of a blur's kernel, in pixels; odd."""


@dataclass(frozen=True, eq=False)
class Transformed:
    """An objective of randomly blurred and mirrored pictures (expectation over transformations).

    Args:
        sigma: range of the Gaussian blur's standard deviation, in pixels.
        flip: probability of a mirror image.
    """

    objective: Objective
    sigma: tuple[float, float] = (LEAST_BLUR, 2.0)
    flip: float = 0.5

    @property
    def direction(self) -> int:
        return self.objective.direction

    def __call__(self, x: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        low, high = self.sigma
        transformed = []
        for image, generator in zip(x, source, strict=True):
            sigma, dice = torch.rand(2, generator=generator).tolist()
            blurred = gaussian_blur(image, [KERNEL] * 2, [low + (high - low) * sigma] * 2)
            transformed.append(hflip(blurred) if dice < self.flip else blurred)
        return self.objective(torch.stack(transformed).clamp(0, 1), source, rows)


@register("metacloak")
@dataclass(frozen=True)
class MetaCloak(SurrogateAttack):
    """Learns over a pool of surrogates at different stages of fine-tuning, each trained further.

    A DreamBooth on the clean pictures to protect is kept at every ``interval`` steps. Each trial
    visits every kept state in turn: PGD through random transformations, then ``advance`` training
    steps on the perturbed pictures, ``interval / advance`` times.

    Args:
        pool_steps: training steps of the DreamBooth whose states are kept; 1000 as released.
        interval: steps from one kept state to the next; 200.
        advance: training steps on the perturbed pictures after each PGD; 2.
        trials: visits of all kept states; 4.
        pgd_steps: PGD steps before each advance; 6.
        blur: largest standard deviation of the blur, in pixels; 2 for 512-pixel pictures.
        flip: probability of a mirror image.
        variant: "released" also feeds the surrogates pictures of range [0, 255] where the VAE
            expects [−1, 1], as the released training does.
    """

    pool_steps: Count = 1000
    interval: Count = 200
    advance: Count = 2
    trials: Count = 4
    pgd_steps: Count = 6
    blur: Annotated[float, Gt(LEAST_BLUR), Le(1000)] = 2.0
    flip: Share = 0.5

    paper = {"eps": "11/255", "alpha": "1.1/255"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interval > self.pool_steps:
            raise UserError(
                f"interval must not exceed pool_steps; got {self.interval} and {self.pool_steps}"
            )

    @property
    def rounds(self) -> int:
        """Rounds for each kept state."""
        return max(1, self.interval // self.advance)

    @property
    def stages(self) -> list[int]:
        """The steps at whose beginning a state is kept: 0, and the last of each interval."""
        return sorted({0, *range(self.interval - 1, self.pool_steps, self.interval)})

    @property
    def training_steps(self) -> int:
        return self.pool_steps

    @property
    def total(self) -> int:
        return self.trials * len(self.stages) * self.rounds

    def prepare(self, run: Run) -> None:
        model, data = self.fresh(run, "diffusion"), self._latents(run.models, run.clean)
        pool: list[Any] = []
        trainee, draw = self.trainee(run, "diffusion", model), self.generator(0)
        for step in range(self.stages[-1] + 1):
            if step in self.stages:
                pool.append(self._keep(run, model, len(pool)))
            if step < self.stages[-1]:
                trainee.step(data, draw)
        run.constants["pool"], run.surrogates = pool, {"diffusion": model}
        trainee.release()

    def round(self, run: Run, number: int) -> Tensor:
        model, visit = run.surrogates["diffusion"], number // self.rounds
        if number % self.rounds == 0:
            self._load(run, model, run.constants["pool"][visit % len(self.stages)])
        with frozen(*model.modules):
            objective = Transformed(
                self.objective(model, run), (LEAST_BLUR, self.blur), flip=self.flip
            )
            run.x, values = self.climb(run, objective, self.pgd_steps)
        behind = self.stages[visit % len(self.stages)] + number % self.rounds * self.advance
        trainee = self.restarted(run, "diffusion", behind)
        trainee.run(self._latents(run.models, run.x), self.advance, self.generator(1 + number))
        make_room(trainee)
        return values

    def _keep(self, run: Run, model: Diffusion, number: int) -> Any:
        """Keep a state for the pool: its copy in memory, or with ``low_memory`` its file's name."""
        state = snapshot(model)
        if not self.low_memory:
            return state
        name = f"{number}.safetensors"
        flat = {
            f"{part} {key}": tensor.contiguous()
            for part, tensors in state.items()
            for key, tensor in tensors.items()
        }
        with writing(run.folder / name) as fresh:
            save_file(flat, fresh)
        return name

    def _load(self, run: Run, model: Diffusion, kept: Any) -> None:
        """Put a state of the pool into a model."""
        if isinstance(kept, str):
            path = run.folder / kept
            if not path.is_file():
                raise UserError(
                    f"{path} is gone, and the checkpoint needs it: delete the checkpoint"
                )
            state: dict[str, dict[str, Tensor]] = {"unet": {}, "text": {}}
            for key, tensor in load_file(path).items():
                part, _, name = key.partition(" ")
                state[part][name] = tensor
            kept = state
        load_weights(model, kept)

    @torch.no_grad()
    def _latents(self, models: Models, images: Tensor) -> Latents:
        base: Diffusion = models.diffusion
        if not self.released:
            return latents_of(base, images)
        with base.arithmetic(base.pipe.vae):
            vae = base.pipe.vae
            out = vae.encode(images.to(vae.device) * 255).latent_dist
        scale = base.scaling
        return Latents(out.mean.float() * scale, out.std.float() * scale)
