"""What an attack returns."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..budget import Budget
from ..images import save_folder


@dataclass(frozen=True, eq=False)
class AttackResult:
    """Protected pictures and how they came about.

    Attributes:
        images: float32 (n, 3, H, W) in [0, 1], on the 8-bit grid and inside the budget.
        linf_pixels: the largest change of each picture, in grey levels.
        loss_trace: (steps, n) value of the objective before each step.
        seconds: wall-clock time.
    """

    images: Tensor
    clean: Tensor
    budget: Budget
    linf_pixels: list[int]
    loss_trace: Tensor
    config: dict[str, Any]
    seeds: list[int]
    seconds: float

    def save(self, folder: str | Path, names: list[str] | None = None) -> Path:
        """Write one PNG per picture and ``attack.json``; refuses if the budget does not hold."""
        self.budget.check(self.images, self.clean)
        folder = Path(folder)
        save_folder(self.images, folder, names)
        card = {
            "config": self.config, "budget": str(self.budget), "linf_pixels": self.linf_pixels,
            "seeds": self.seeds, "seconds": round(self.seconds, 2),
            "loss": [round(v, 6) for v in self.loss_trace.mean(1).tolist()],
        }  # fmt: skip
        fresh = folder / ".attack.json.tmp"
        fresh.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
        os.replace(fresh, folder / "attack.json")
        return folder
