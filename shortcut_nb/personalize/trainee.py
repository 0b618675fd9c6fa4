"""The DreamBooth step, shared by the trainer and by the surrogates of attacks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Generator, Tensor

from ..diffusion import Diffusion
from ..errors import Diverged
from ..latents import Latents
from ..tuning.modes import checkpoint
from ..tuning.optimiser import adamw
from ..tuning.regime import schedule_at
from ..tuning.weighting import min_snr_weight
from .methods import FullFineTuning, Method
from .rows import LossTerm, Rows, without_prompt
from .text_states import TextStates


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
        accumulation: batches whose gradients are added up for one step; the loss is their mean.
        checkpointing: recompute activations in the backward pass: less memory, the same gradients.
        ema_decay: keep an exponential moving average of what is trained, with diffusers' warm-up,
            and end with it; None keeps none.
        adam_8bit: bitsandbytes' AdamW with 8-bit states, a quarter of the optimiser's memory.
        host_states: keep AdamW's states in host memory; see
            :class:`shortcut_nb.tuning.lean.HostAdamW`.
            ``adam_8bit`` and ``fused`` go before.
        lr_scheduler, warmup, snr_gamma, fused: see :class:`shortcut_nb.tuning.regime.Regime`.
        planned: steps of the whole training, over which the learning rate moves.
        behind: steps of it that the model has behind it already.
        method: what is trained; the model has been prepared for it.

    Raises:
        MissingLibrary: ``adam_8bit`` without bitsandbytes.
        UserError: ``fused`` where PyTorch has no such kernel.
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
    accumulation: int = 1
    checkpointing: bool = False
    ema_decay: float | None = None
    adam_8bit: bool = False
    host_states: bool = False
    lr_scheduler: str = "constant"
    warmup: int | float = 0
    planned: int = 0
    behind: int = 0
    snr_gamma: float | None = None
    fused: bool = False
    method: Method = field(default_factory=FullFineTuning)
    ema: EMAModel | None = field(default=None, init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    taken: int = field(default=0, init=False)
    within: int = field(default=0, init=False)
    texts: TextStates = field(init=False)

    def __post_init__(self) -> None:
        self.texts = TextStates(self.model)
        groups = self._wake()
        self.parameters = [p for group in groups for p in group["params"]]
        if self.ema_decay is not None:
            self.ema = EMAModel(self.parameters, decay=self.ema_decay)
        self.optimiser = adamw(
            groups,
            self.lr,
            self.weight_decay,
            in_8_bits=self.adam_8bit,
            host_states=self.host_states,
            fused=self.fused,
        )
        self.go_on(0)

    def _wake(self) -> list[dict[str, Any]]:
        """Set training mode and the gradients that the method wants; the optimiser's groups."""
        text_lr = self.lr if self.text_lr is None else self.text_lr
        groups = self.method.groups(self.model, self.lr, text_lr)
        unet, text = self.model.pipe.unet, self.model.text
        self.texts.learns = any(p.requires_grad for p in text.parameters())
        unet.train()
        text.train(self.texts.learns)
        if self.checkpointing:
            checkpoint(True, unet, *self.model.encoders.values())
        return groups

    def go_on(self, taken: int) -> None:
        """Continue after ``taken`` steps, whose weights and optimiser state are in place."""
        self.taken = taken
        self.schedule = schedule_at(
            self.optimiser, self.lr_scheduler, self.warmup, self.planned, self.behind + taken
        )

    def start_over(self, behind: int) -> None:
        """Begin again with the weights as they are, as a new trainee would, in the same memory.

        Args:
            behind: steps that the model has behind it now.
        """
        self._wake()
        if self.adam_8bit:
            self.optimiser.state.clear()
        for moments in self.optimiser.state.values():
            for moment in moments.values():
                moment.zero_()
        if self.ema is not None:
            self.ema = EMAModel(self.parameters, decay=self.ema_decay)
        self.behind = behind
        self.go_on(0)

    def loss(self, latents: Latents, generator: Generator) -> Tensor:
        """The sum of all terms, whose rows go through the UNet in one pass."""
        terms = self.terms(latents, generator)
        losses = self._losses([term.rows for term in terms])
        first, *more = (term.reduce(each) for term, each in zip(terms, losses, strict=True))
        return sum(more, first)

    def draw(self, latents: Latents, generator: Generator) -> Rows:
        """The rows that :meth:`loss` draws first from a generator, on the model's device.

        The first ``batch_size`` rows are instance pictures; as many class pictures follow with
        prior preservation. Further terms of the loss draw after these.
        """
        return self._own(latents, generator).to(self.model.device)

    def terms(self, latents: Latents, generator: Generator) -> list[LossTerm]:
        """What the loss is the sum of; a subclass adds its terms, which draw after these."""
        return [LossTerm(self._own(latents, generator), self._with_prior)]

    def _with_prior(self, each: Tensor) -> Tensor:
        """Instance loss plus ``prior_weight`` × class loss (Ruiz et al. 2023, eq. 2)."""
        loss = each[: self.batch_size].mean()
        if len(each) > self.batch_size:
            loss = loss + self.prior_weight * each[self.batch_size :].mean()
        return loss

    def _own(self, latents: Latents, generator: Generator) -> Rows:
        """Instance pictures, then as many class pictures with prior preservation."""
        rows = self._pick(len(latents), generator)
        z = [latents.draw(rows, generator)]
        prompts, counts = self.prompts_of(rows)
        if self.prior is not None and self.prior_weight > 0:
            z.append(self.prior.draw(self._pick(len(self.prior), generator), generator))
            empty = without_prompt(self.prior_dropout, self.batch_size, generator)
            prompts, counts = [*prompts, self.prompts[1]], [*counts, self.batch_size - empty]
            if empty:
                prompts, counts = [*prompts, ""], [*counts, empty]
        joined = torch.cat(z)
        noise = torch.randn(joined.shape, generator=generator)
        return Rows(joined, noise, self.timesteps(len(joined), generator), prompts, counts)

    def timesteps(self, n: int, generator: Generator) -> Tensor:
        """n timesteps, uniform over the schedule."""
        steps = self.model.noise_schedule.config.num_train_timesteps
        return torch.randint(0, steps, (n,), generator=generator)

    def _losses(self, parts: list[Rows]) -> list[Tensor]:
        """The denoising loss of each row of each part, from one pass."""
        latents = torch.cat([part.latents for part in parts])
        prompts = [prompt for part in parts for prompt in part.prompts]
        counts = [count for part in parts for count in part.counts]
        repeats = torch.tensor(counts, device=latents.device)
        states = self.texts.of(prompts)
        context = states.repeat_interleave(repeats, 0, output_size=sum(counts))  # no wait for a GPU
        t, noise = torch.cat([p.t for p in parts]), torch.cat([p.noise for p in parts])
        each = self.model.denoising_loss(latents, t, noise, context)
        if self.snr_gamma is not None:
            weight = min_snr_weight(self.model.noise_schedule, t.to(each.device), self.snr_gamma)
            each = each * weight
        return list(each.split([len(part.latents) for part in parts]))

    def prompts_of(self, rows: Tensor) -> tuple[list[str], list[int]]:
        """The prompts of the instance pictures drawn, and how many consecutive rows each has."""
        return [self.prompts[0]], [self.batch_size]

    def step(self, latents: Latents, generator: Generator) -> float:
        """One optimiser step; returns the loss.

        Raises:
            Diverged: when the loss is not finite; the weights are as before the step.
        """
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for within in range(self.accumulation):
            self.within = within
            with torch.enable_grad():
                loss = self.loss(latents, generator)
            (loss / self.accumulation).backward()
            value = loss.item()  # after the backward pass is on its way: a GPU need not wait
            if not math.isfinite(value):
                raise Diverged(
                    f"the fine-tuning loss is {value} at step {self.taken}: lower the "
                    "learning rate, or use float32"
                )
            total += value / self.accumulation
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.optimiser.step()
        if self.schedule is not None:
            self.schedule.step()
        self.method.constrain(self.model)
        if self.round_weights is not None:
            with torch.no_grad():
                for p in self.parameters:
                    p.copy_(p.to(self.round_weights).to(p.dtype))
        if self.ema is not None:
            self.ema.step(self.parameters)
        self.taken += 1
        return total

    def run(self, latents: Latents, steps: int, generator: Generator) -> None:
        """Several steps in a row; afterwards the weights want no gradients."""
        for _ in range(steps):
            self.step(latents, generator)
        self.release()

    def release(self) -> None:
        """Evaluation mode, no gradients kept, the average in place: ready to sample."""
        self.optimiser.zero_grad(set_to_none=True)
        if self.ema is not None and self.taken:
            self.ema.copy_to(self.parameters)
        if self.checkpointing:
            checkpoint(False, self.model.pipe.unet, *self.model.encoders.values())
        for module in self.model.modules:
            module.eval().requires_grad_(False)

    def _pick(self, n: int, generator: Generator) -> Tensor:
        if not self.shuffle:
            batches = self.taken * self.accumulation + self.within
            return (batches * self.batch_size + torch.arange(self.batch_size)) % n
        order = [torch.randperm(n, generator=generator) for _ in range(-(-self.batch_size // n))]
        return torch.cat(order)[: self.batch_size]
