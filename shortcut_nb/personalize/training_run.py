"""The steps of one fine-tuning: taken one after the other, saved, and gone on from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator

from ..errors import UserError
from ..latents import Latents
from ..progress import OnStep, StepInfo
from ..tuning.checkpoint import load_checkpoint, save_checkpoint
from .trainee import Trainee


@dataclass(eq=False)
class TrainingRun:
    """One fine-tuning from its first step, or from its checkpoint, to its last.

    Attributes:
        data: latents of the pictures trained on.
        seed: what each step draws comes from this and the step's number.
        last: the step to stop after.
        started: when this run began, on the monotonic clock.
        on_step: told the loss of every step.
        path: of the checkpoint; None keeps none.
        mark: stands for all that a checkpoint depends on; a file with another is refused.
        every: steps from one checkpoint to the next; there is one after the last step too.
        losses: of every step, those of earlier runs included.
        earlier: seconds that earlier runs took.
    """

    trainee: Trainee
    data: Latents
    seed: int
    last: int
    started: float
    on_step: OnStep | None = None
    path: Path | None = None
    mark: str = ""
    every: int = 1
    losses: list[float] = field(default_factory=list)
    earlier: float = 0.0

    @property
    def seconds(self) -> float:
        """What it has taken so far, earlier runs included."""
        return self.earlier + time.monotonic() - self.started

    def run(self) -> None:
        """Take the steps that are left; afterwards the model is ready to sample.

        Raises:
            UserError: a checkpoint of another run, or of a later step than the last.
            Diverged: a loss that is not finite; the last checkpoint is kept.
        """
        if self.path and self.path.exists():
            self._restore(self.path)
        if self.trainee.taken > self.last:
            raise UserError(
                f"{self.path} is at step {self.trainee.taken}, more than the {self.last} asked "
                "for: name another file"
            )
        for step in range(self.trainee.taken, self.last):
            draw = Generator().manual_seed(self.seed * 1_000_003 + step)
            self.losses.append(self.trainee.step(self.data, draw))
            done = step + 1
            if self.on_step:
                self.on_step(StepInfo(done, self.last, {"loss": self.losses[-1]}))
            if self.path and (done % self.every == 0 or done == self.last):
                self._save(self.path)
        self.trainee.release()

    def _save(self, path: Path) -> None:
        trainee = self.trainee
        state = {
            "step": trainee.taken,
            "losses": self.losses,
            "seconds": self.seconds,
            "weights": trainee.method.state(trainee.model),
            "optimiser": trainee.optimiser.state_dict(),
            "ema": trainee.ema.state_dict() if trainee.ema else None,
        }
        save_checkpoint(path, self.mark, state)

    def _restore(self, path: Path) -> None:
        """Bring the trainee to where a checkpoint is, and take over what came before."""
        trainee = self.trainee
        state = load_checkpoint(path, self.mark, "other pictures, prompts or hyperparameters")
        with torch.no_grad():
            for name, weight in trainee.method.state(trainee.model).items():
                weight.copy_(state["weights"][name])
        trainee.optimiser.load_state_dict(state["optimiser"])
        if trainee.ema is not None:
            trainee.ema.load_state_dict(state["ema"])
            trainee.ema.to(device=trainee.parameters[0].device)
        trainee.go_on(state["step"])
        self.losses = state["losses"]
        self.earlier = state.get("seconds", 0.0)
