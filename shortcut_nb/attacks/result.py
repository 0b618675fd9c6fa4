"""What an attack returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..budget import Budget
from ..files import write_json
from ..files.outputs import check_output
from ..images import save_folder
from ..templates import counted


@dataclass(frozen=True, eq=False, repr=False)
class AttackResult:
    """Protected pictures and how they came about.

    Attributes:
        images: float32 (n, 3, H, W) in [0, 1], on the 8-bit grid and inside the budget.
        clean: the pictures as they were, of the same shape.
        budget: the largest change that was allowed.
        linf_pixels: the largest change of each picture, in grey levels.
        loss_trace: (steps, n) value of the objective before each step.
        config: the attack's name and hyperparameters, as plain values.
        seeds: of each picture; all that is random of one is drawn from its own.
        seconds: wall-clock time, in all runs of an attack that was resumed.
    """

    images: Tensor
    clean: Tensor
    budget: Budget
    linf_pixels: list[int]
    loss_trace: Tensor
    config: dict[str, Any]
    seeds: list[int]
    seconds: float

    def __repr__(self) -> str:
        high, wide = self.images.shape[2:]
        pictures = f"{counted(len(self.images), 'picture')} of {high} x {wide}"
        return f"AttackResult({pictures}, {self.budget}, {self.seconds:.0f} s)"

    def save(self, folder: str | Path, names: list[str] | None = None, force: bool = False) -> Path:
        """Write one PNG per picture and ``attack.json``: all of it, or nothing.

        Args:
            names: file names, one per picture; any ending becomes ".png".
            force: replace an earlier result there.

        Raises:
            UserError: a picture outside of its budget, or names that do not fit.
            AlreadyThere, CannotWrite: see :func:`shortcut_nb.files.outputs.check_output`.
        """
        self.budget.check(self.images, self.clean)
        output = check_output(folder, "attack.json", force=force)
        with output.filling() as fresh:
            written = save_folder(self.images, fresh, names)
            write_json(fresh / "attack.json", self.card([path.name for path in written]))
        return output.folder

    def card(self, files: list[str]) -> dict[str, Any]:
        """How the pictures came about, as ``attack.json`` has it, with their file names."""
        return {
            "config": self.config,
            "budget": str(self.budget),
            "linf_pixels": self.linf_pixels,
            "seeds": self.seeds,
            "seconds": round(self.seconds, 2),
            "loss": [_finite(value) for value in self.loss_trace.mean(1).tolist()],
            "files": files,
            "made_with": {"torch": torch.__version__, "threads": torch.get_num_threads()},
        }


def _finite(value: float) -> float | None:
    """A number as JSON has it; None for what JSON lacks."""
    return round(value, 6) if math.isfinite(value) else None
