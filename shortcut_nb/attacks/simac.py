"""SimAC (Wang et al. 2024): ASPL at the timesteps that matter, and against inner features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion, draw_normal
from ..errors import UserError
from ..latents import latents_of
from ..settings import Count, Weight, parse_alpha
from .aspl import ASPL
from .base import register
from .objectives import ALL, DenoisingLoss, pick
from .pgd import pgd
from .run import Run

T = TypeVar("T")
CANDIDATES = 5  # timesteps compared in one round of selection
WINDOW = 20  # half the width of what one round of selection removes, in timesteps


class Features:
    """The outputs of the last up-block's residual blocks during a UNet call, in order."""

    def __init__(self, model: Diffusion) -> None:
        self.blocks = model.pipe.unet.up_blocks[-1].resnets

    def of(self, call: Callable[[], T]) -> tuple[T, list[Tensor]]:
        """What ``call()`` returns, and the features it caused."""
        features: list[Tensor] = []
        hooks = [
            block.conv2.register_forward_hook(lambda *arguments: features.append(arguments[-1]))
            for block in self.blocks
        ]
        try:
            return call(), features
        finally:
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True, eq=False)
class FeatureInterference(DenoisingLoss):
    """L_ldm plus the distance of inner features from the clean picture's, same noise and t.

    Args:
        still: scaled latents of the clean pictures, whose features are the reference, (n, c, h, w).
        weight: of the feature distance (a mean of squares, over layers as well). Loss and distance
            have the weight of their timestep, so that their balance is the published one.
    """

    still: Tensor = field(kw_only=True)
    weight: float = 1.0

    def on(self, z: Tensor, source: Sequence[Generator], rows: slice = ALL) -> Tensor:
        noise, t = self.draw(z, source, rows)
        context = self.context.expand(len(z), -1, -1)
        features = Features(self.model)
        with torch.no_grad():
            still = pick(self.still, rows)
            _, reference = features.of(lambda: self.model.predict(still, t, noise, context))
        (guess, truth, _), layers = features.of(lambda: self.model.predict(z, t, noise, context))
        loss = (guess - truth).square().flatten(1).mean(1)
        for a, b in zip(layers, reference, strict=True):
            distance = (a - b).float().square().flatten(1).mean(1)
            loss = loss + self.weight / len(layers) * distance
        return self.weighted(loss, t)


@register("simac")
@dataclass(frozen=True)
class SimAC(ASPL):
    """ASPL with adaptive greedy timestep selection and a feature interference loss.

    Selection, once per picture on the pretrained model: five candidate timesteps are drawn; the
    one with the smallest image gradient goes, with its neighbours, and a scratch picture takes a
    PGD step at the one with the largest, until at most ``keep`` candidates are left.

    Args:
        keep: 100 of 1,000 timesteps.
        feature_weight: of the feature loss. In the released code it is detached and has no
            gradient: ``variant="released"`` leaves it out.
    """

    keep: Count = 100
    feature_weight: Weight = 1.0

    paper = {"eps": "8/255", "alpha": "0.6375/255"}  # 16/255 and 0.005 of [-1, 1]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targeted:
            raise UserError("SimAC has no targeted form: use t-aspl")
        if self.keep < 2 * WINDOW:
            raise UserError(
                f"keep must be at least {2 * WINDOW}, what one round may remove; got {self.keep}"
            )

    def prepare(self, run: Run) -> None:
        super().prepare(run)
        model = run.models.diffusion
        with self.at_work(model):
            context = model.embed([self.words(run)[0]])
            chosen = [self._select(run, model, context, i) for i in range(len(run.x))]
        run.state["timesteps"] = chosen

    @property
    def interferes(self) -> bool:
        """Whether the feature loss takes part."""
        return not self.released and self.feature_weight != 0

    @property
    def revision(self) -> int:
        return 2 if self.interferes else super().revision

    def rebuild(self, run: Run) -> None:
        super().rebuild(run)
        if self.interferes:
            run.rebuilt["still"] = latents_of(run.models.diffusion, run.clean, self.chunk).mean

    def objective(self, model: Diffusion, run: Run) -> DenoisingLoss:
        context, chosen = model.embed([self.words(run)[0]]), run.state["timesteps"]
        if not self.interferes:
            return DenoisingLoss(model, context, timesteps=chosen, snr_gamma=self.snr_gamma)
        return FeatureInterference(
            model,
            context,
            timesteps=chosen,
            still=run.rebuilt["still"],
            weight=self.feature_weight,
            snr_gamma=self.snr_gamma,
        )

    def _select(self, run: Run, model: Diffusion, context: Tensor, i: int) -> Tensor:
        """The surviving timesteps of picture i."""
        source, clean = [run.generators[i]], run.clean[i : i + 1]
        scratch, total = clean, model.noise_schedule.config.num_train_timesteps
        left = torch.arange(total)
        while len(left) > self.keep:
            drawn = left[torch.randperm(len(left), generator=source[0])[:CANDIDATES]]
            parts = drawn.split(self.chunk or CANDIDATES)
            sizes = [self._gradient_sizes(model, context, scratch, t, source) for t in parts]
            score = torch.cat(sizes)
            worst, best = int(drawn[score.argmin()]), drawn[score.argmax()]
            middle = min(max(worst, WINDOW), total - WINDOW)
            left = left[(left < middle - WINDOW) | (left >= middle + WINDOW)]
            at = DenoisingLoss(model, context, timesteps=[best[None]])
            scratch, _ = pgd(
                at,
                scratch,
                clean,
                self.budget,
                alpha=parse_alpha(self.alpha),
                steps=1,
                source=source,
            )
        return left

    def _gradient_sizes(
        self, model: Diffusion, context: Tensor, x: Tensor, t: Tensor, source: list[Generator]
    ) -> Tensor:
        """Sums of the absolute gradient of a picture (1, 3, H, W) at timesteps (n,); each has draws
        of its own, one after the other."""
        with torch.enable_grad():
            copies = x.repeat(len(t), 1, 1, 1).requires_grad_(True)
            mean, std = model.posterior(copies)
            inner, noise = [], []
            for at in t:
                inner.append(draw_normal(mean.shape[1:], source))
                loss = DenoisingLoss(model, context, timesteps=[at[None]])
                noise.append(loss.draw(mean[:1], source, ALL)[0])
            z = mean + std * torch.cat(inner).to(mean.device)
            losses = model.denoising_loss(z, t, torch.cat(noise), context.expand(len(t), -1, -1))
            (slope,) = torch.autograd.grad(losses.sum(), copies)
        return slope.abs().flatten(1).sum(1).cpu()
