"""One resumable training loop for every model of the miniature.

A step's data and noise are drawn from a generator seeded by (seed, step), so that a run that was
killed and started again sees what an uninterrupted run would have seen.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import SchedulerMixin
from diffusers.training_utils import compute_snr
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

log = logging.getLogger(__name__)
Loss = Callable[[torch.Generator, int], torch.Tensor]


def train(
    name: str,
    model: torch.nn.Module,
    loss_of: Loss,
    folder: Path,
    *,
    steps: int,
    lr: float,
    seed: int = 0,
    weight_decay: float = 1e-4,
    ema: float | None = 0.999,
    seconds: float | None = None,
    save_every: float = 60.0,
) -> torch.nn.Module:
    """Train ``model`` with AdamW and a one-cycle schedule; the averaged weights, in eval mode.

    The schedule is a function of progress, the larger of ``step / steps`` and (with ``seconds``,
    a budget of wall-clock seconds over all resumed runs) ``elapsed / seconds``.

    Args:
        loss_of: maps (generator, step) to a scalar loss.
        folder: where ``{name}.ckpt``, ``{name}.jsonl`` (losses) and ``{name}.json`` (cost) go.
        ema: decay of the weights' moving average, or None for the plain weights.

    Raises:
        FloatingPointError: as soon as a loss is not finite; the last checkpoint is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, trace = folder / f"{name}.ckpt", folder / f"{name}.jsonl"
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema or 0.0), use_buffers=True)
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.load_state_dict(state["average"])
        step, spent = state["step"], state["seconds"]
    else:
        trace.unlink(missing_ok=True)
    started = saved = time.monotonic()

    def elapsed() -> float:
        return spent + time.monotonic() - started

    def save() -> None:
        fresh = checkpoint.with_suffix(".tmp")
        state = {
            "model": model.state_dict(), "optimiser": optimiser.state_dict(),
            "average": average.state_dict(), "step": step, "seconds": elapsed(),
        }  # fmt: skip
        torch.save(state, fresh)
        os.replace(fresh, checkpoint)

    model.train()
    progress = max(step / steps, spent / seconds if seconds else 0.0)
    while step < steps and progress < 1:
        progress = max(step / steps, elapsed() / seconds if seconds else 0.0)
        for group in optimiser.param_groups:
            group["lr"] = lr * _one_cycle(progress)
        loss = loss_of(torch.Generator().manual_seed(seed * 1_000_003 + step), step)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{name}: the loss is {loss.item()} at step {step}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if ema is not None:
            decay = min(ema, (1 + step) / (10 + step))
            average.multi_avg_fn = get_ema_multi_avg_fn(decay)
            average.update_parameters(model)
        if step % 20 == 0:
            row = {"step": step, "loss": loss.item(), "seconds": round(elapsed(), 1)}
            with trace.open("a") as out:
                out.write(json.dumps(row) + "\n")
        if time.monotonic() - saved > save_every:
            save()
            saved = time.monotonic()
    save()
    cost = {"steps": step, "seconds": round(elapsed(), 1), "threads": torch.get_num_threads()}
    (folder / f"{name}.json").write_text(json.dumps(cost))
    return (average.module if ema is not None else model).eval()


def min_snr_loss(
    schedule: SchedulerMixin, guess: torch.Tensor, target: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """Mean squared error weighted by min-SNR (Hang et al. 2023, γ = 5).

    ``target`` is the noise, or the velocity where the schedule says "v_prediction".
    """
    snr = compute_snr(schedule, t)
    velocity = schedule.config.prediction_type == "v_prediction"
    weight = snr.clamp(max=5.0) / (snr + 1 if velocity else snr)
    return (weight * (guess - target).square().flatten(1).mean(1)).mean()


def _one_cycle(progress: float, warmup: float = 0.05) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the peak."""
    if progress < warmup:
        return 0.05 + 0.95 * progress / warmup
    along = min((progress - warmup) / (1 - warmup), 1.0)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2
