"""One resumable training loop for every model of the miniature.

A step's batch and noise are functions of (seed, step) alone. So a run that was killed and started
again sees what an uninterrupted run would have seen, and other processes can draw batches ahead.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from diffusers import SchedulerMixin
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from ...errors import Diverged
from ...files import write_text, writing
from ...tuning.weighting import min_snr_weight
from .machine import Machine

log = logging.getLogger(__name__)
Batch = dict[str, torch.Tensor]
DrawBatch = Callable[[np.random.Generator], dict[str, np.ndarray]]
M = TypeVar("M", bound=torch.nn.Module)
Loss = Callable[[M, Batch, torch.Generator], torch.Tensor]
LOG_EVERY = 20


@dataclass(frozen=True)
class TrainingPlan:
    """Where a training is kept, how long it lasts, and what it runs on.

    Args:
        folder: where ``NAME.ckpt``, ``NAME.jsonl`` (losses) and ``NAME.json`` (cost) go.
        steps: at most so many.
        seconds: a budget of wall-clock seconds over all resumed runs; None sets none.
        machine: device, arithmetic, and the processes that draw batches.
    """

    folder: Path
    steps: int
    seconds: float | None = None
    machine: Machine = field(default_factory=Machine)


class Steps(Dataset[dict[str, np.ndarray]]):
    """The batches of a training by the number of the step."""

    def __init__(self, draw: DrawBatch, seed: int) -> None:
        self.draw = draw
        self.seed = seed

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return self.draw(np.random.default_rng([self.seed, step]))


def train(
    name: str,
    model: M,
    draw: DrawBatch,
    loss_of: Loss[M],
    plan: TrainingPlan,
    *,
    lr: float,
    seed: int = 0,
    weight_decay: float = 1e-4,
    ema: float = 0.999,
    save_every: float = 60.0,
    example: Callable[[], tuple[torch.Tensor, ...]] | None = None,
) -> M:
    """Train ``model`` with AdamW and a one-cycle schedule; the averaged weights, in eval mode.

    The schedule is a function of progress, the larger of ``step / steps`` and (with a budget of
    seconds) ``elapsed / seconds``.

    Args:
        draw: maps a numpy generator to the arrays of one batch; may run in another process.
        loss_of: maps (model, batch on the device, generator on the device) to a scalar loss.
        ema: decay of the weights' moving average.
        example: makes inputs of ``model`` of the training's own shapes, for ``machine.graphs``.

    Raises:
        Diverged: a logged loss is not finite; the last checkpoint is kept.
    """
    folder, machine = plan.folder, plan.machine
    folder.mkdir(parents=True, exist_ok=True)
    state = _State(name, model.to(machine.device), folder, lr, weight_decay, ema)
    model.train()
    if machine.graphs and example is not None:
        with machine.arithmetic():
            torch.cuda.make_graphed_callables(model, example(), allow_unused_input=True)
    progress = state.progress(plan.steps, plan.seconds)
    saved = time.monotonic()
    for batch in _batches(draw, seed, range(state.step, plan.steps), machine):
        if progress >= 1:
            break
        progress = state.progress(plan.steps, plan.seconds)
        state.set_lr(lr * _one_cycle(progress))
        with machine.arithmetic():
            loss = loss_of(model, batch, machine.generator(seed * 1_000_003 + state.step))
        state.update(loss)
        if state.step % LOG_EVERY == 0:
            state.record(loss.item())
        if time.monotonic() - saved > save_every:
            state.save()
            saved = time.monotonic()
    state.save()
    state.write_cost(machine)
    return cast(M, state.average.module.eval())


def _batches(draw: DrawBatch, seed: int, steps: range, machine: Machine) -> Iterator[Batch]:
    """The batches of some steps, on the device."""
    loader = DataLoader(
        Steps(draw, seed),
        batch_size=None,
        sampler=steps,
        num_workers=machine.workers,
        prefetch_factor=6 if machine.workers else None,
        # Also within a process that was spawned: what draws cannot be pickled.
        multiprocessing_context="fork" if machine.workers else None,
        pin_memory=machine.device == "cuda",
    )
    for batch in loader:
        yield {key: value.to(machine.device, non_blocking=True) for key, value in batch.items()}


class _State:
    """What a training consists of, and what of it survives a restart."""

    def __init__(
        self,
        name: str,
        model: torch.nn.Module,
        folder: Path,
        lr: float,
        weight_decay: float,
        ema: float,
    ) -> None:
        self.name = name
        self.model = model
        self.ema = ema
        self.checkpoint = folder / f"{name}.ckpt"
        self.trace = folder / f"{name}.jsonl"
        self.cost = folder / f"{name}.json"
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=lr, weight_decay=weight_decay, fused=True
        )
        average = get_ema_multi_avg_fn(0.0)
        self.average = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        self.step = 0
        self.spent = 0.0
        if self.checkpoint.exists():
            self._restore()
        else:
            self.trace.unlink(missing_ok=True)
        self.started = time.monotonic()

    def _restore(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.load_state_dict(state["average"])
        self.step = state["step"]
        self.spent = state["seconds"]

    def elapsed(self) -> float:
        return self.spent + time.monotonic() - self.started

    def progress(self, steps: int, seconds: float | None) -> float:
        """How much of the training is over, 0 to 1 and beyond."""
        by_time = self.elapsed() / seconds if seconds else 0.0
        return max(self.step / steps, by_time)

    def set_lr(self, lr: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = lr

    def update(self, loss: torch.Tensor) -> None:
        """One step of the optimiser and of the average."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(self.ema, (1 + self.step) / (10 + self.step))
        self.average.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self.average.update_parameters(self.model)

    def record(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(f"{self.name}: the loss is {loss} at step {self.step}")
        row = {"step": self.step, "loss": loss, "seconds": round(self.elapsed(), 1)}
        with self.trace.open("a") as out:
            out.write(json.dumps(row) + "\n")

    def save(self) -> None:
        """Write the checkpoint, atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict(),
            "step": self.step,
            "seconds": self.elapsed(),
        }
        with writing(self.checkpoint) as fresh:
            torch.save(state, fresh)

    def write_cost(self, machine: Machine) -> None:
        cost: dict[str, Any] = {"steps": self.step, "seconds": round(self.elapsed(), 1)}
        if machine.device == "cuda":
            cost["device"] = torch.cuda.get_device_name()
        else:
            cost["device"] = "cpu"
            cost["threads"] = torch.get_num_threads()
        write_text(self.cost, json.dumps(cost))


def min_snr_loss(
    schedule: SchedulerMixin, guess: torch.Tensor, target: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """Mean squared error weighted by min-SNR (Hang et al. 2023, γ = 5).

    ``target`` is the noise, or the velocity where the schedule says "v_prediction".
    """
    weight = min_snr_weight(schedule, t, 5.0)
    return (weight * (guess.float() - target).square().flatten(1).mean(1)).mean()


def _one_cycle(progress: float, warmup: float = 0.05) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the peak."""
    if progress < warmup:
        return 0.05 + 0.95 * progress / warmup
    along = min((progress - warmup) / (1 - warmup), 1.0)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2
