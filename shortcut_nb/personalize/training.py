"""The DreamBooth step, shared by the trainer and by the surrogates of attacks."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion
from .methods import FullFineTuning, Method


@dataclass(frozen=True, eq=False)
class Latents:
    """Scaled posterior mean and std of encoded pictures, each (n, c, h, w)."""

    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.mean)

    def draw(self, rows: Tensor, generator: Generator) -> Tensor:
        """A fresh posterior sample of some rows."""
        mean, std = self.mean[rows], self.std[rows]
        return mean + std * torch.randn(mean.shape, generator=generator).to(mean.device)


@torch.no_grad()
def latents_of(model: Diffusion, images: Tensor, batch: int = 16) -> Latents:
    """Encode pictures (n, 3, H, W) in [0, 1] once, for many training steps."""
    parts = [model.posterior(part) for part in images.split(batch)]
    return Latents(torch.cat([m for m, _ in parts]), torch.cat([s for _, s in parts]))


@dataclass(eq=False)
class Trainee:
    """A model being fine-tuned in float32: AdamW, prior preservation; ``method`` says what moves.

    Args:
        prompts: (instance, class).
        prior: latents of class pictures; None or ``prior_weight`` 0 turns prior preservation off.
        text_lr: learning rate of the text encoder; None is ``lr``, 0 freezes it.
        prior_dropout: share of the class pictures trained under the empty prompt. Guidance compares
            with the empty prompt; at a high learning rate it drifts to the subject otherwise, and
            guided samples fade (subject) or burn (class). The paper's 5e-7 needs none.
        max_grad_norm: None turns clipping off.
        shuffle: False takes pictures from the first on, as Anti-DreamBooth's surrogates do.
        round_weights: round weights to this dtype after each step (imitates training without
            float32 master weights).
        method: what is trained; the model has been prepared for it.
    """

    model: Diffusion
    prompts: tuple[str, str]
    prior: Latents | None
    lr: float
    text_lr: float | None = None
    batch_size: int = 1
    prior_weight: float = 1.0
    prior_dropout: float = 0.0
    weight_decay: float = 1e-2
    max_grad_norm: float | None = 1.0
    shuffle: bool = True
    round_weights: torch.dtype | None = None
    method: Method = field(default_factory=FullFineTuning)
    optimiser: torch.optim.Optimizer = field(init=False)
    taken: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        text_lr = self.lr if self.text_lr is None else self.text_lr
        groups = self.method.groups(self.model, self.lr, text_lr)
        self.parameters = [p for group in groups for p in group["params"]]
        _, unet, text = self.model.modules
        unet.train()
        text.train(any(p.requires_grad for p in text.parameters()))
        self.optimiser = torch.optim.AdamW(groups, weight_decay=self.weight_decay)

    def loss(self, latents: Latents, generator: Generator) -> Tensor:
        """Instance loss plus ``prior_weight`` × class loss (Ruiz et al. 2023, eq. 2)."""
        rows = [self._pick(len(latents), generator)]
        z = [latents.draw(rows[0], generator)]
        with_prior = self.prior is not None and self.prior_weight > 0
        if with_prior:
            z.append(self.prior.draw(self._pick(len(self.prior), generator), generator))
        joined = torch.cat(z)
        said, rows_each = self.said(rows[0])
        if with_prior:
            empty = self._dropped(generator)
            said.append(self.prompts[1])
            rows_each.append(self.batch_size - empty)
            if empty:
                said.append("")
                rows_each.append(empty)
        repeats = torch.tensor(rows_each, device=joined.device)
        context = self.model.embed(said).repeat_interleave(repeats, 0)
        noise = torch.randn(joined.shape, generator=generator)
        steps = self.model.noise_schedule.config.num_train_timesteps
        t = torch.randint(0, steps, (len(joined),), generator=generator)
        each = self.model.denoising_loss(joined, t, noise, context)
        loss = each[: self.batch_size].mean()
        return loss + self.prior_weight * each[self.batch_size :].mean() if with_prior else loss

    def said(self, rows: Tensor) -> tuple[list[str], list[int]]:
        """The prompts of the instance pictures drawn, and how many rows in a row each has."""
        return [self.prompts[0]], [self.batch_size]

    def step(self, latents: Latents, generator: Generator) -> float:
        """One optimiser step; returns the loss.

        Raises:
            FloatingPointError: when the loss is not finite; the weights are as before the step.
        """
        with torch.enable_grad():
            loss = self.loss(latents, generator)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the fine-tuning loss is {loss.item()} at step {self.taken}: lower the learning "
                "rate, or use float32"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.optimiser.step()
        self.method.constrain(self.model)
        if self.round_weights is not None:
            with torch.no_grad():
                for p in self.parameters:
                    p.copy_(p.to(self.round_weights).to(p.dtype))
        self.taken += 1
        return loss.item()

    def run(self, latents: Latents, steps: int, generator: Generator) -> None:
        """Several steps in a row; afterwards the weights want no gradients."""
        for _ in range(steps):
            self.step(latents, generator)
        self.release()

    def release(self) -> None:
        """Evaluation mode, no gradients kept: the model is ready to sample."""
        self.optimiser.zero_grad(set_to_none=True)
        for module in self.model.modules:
            module.eval().requires_grad_(False)

    def _dropped(self, generator: Generator) -> int:
        """How many class pictures go without a prompt this time: the share, on average."""
        wanted = self.prior_dropout * self.batch_size
        whole = int(wanted)
        if wanted == whole:
            return whole
        return whole + int(torch.rand(1, generator=generator).item() < wanted - whole)

    def _pick(self, n: int, generator: Generator) -> Tensor:
        if not self.shuffle:
            return (
                torch.arange(self.taken * self.batch_size, (self.taken + 1) * self.batch_size) % n
            )
        order = [torch.randperm(n, generator=generator) for _ in range(-(-self.batch_size // n))]
        return torch.cat(order)[: self.batch_size]
