"""What a model is trained on: device, arithmetic, and the processes that prepare its batches."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from ...models import fast_dtype


@dataclass(frozen=True)
class Machine:
    """Where one training runs.

    Args:
        device: "cpu" or "cuda".
        autocast: dtype of the arithmetic; weights and optimiser stay in float32.
        workers: processes that draw batches ahead; 0 draws them between two steps.
        graphs: record a step once as a CUDA graph and replay it (small models on a large GPU spend
            their time launching kernels).
    """

    device: str = "cpu"
    autocast: torch.dtype = torch.float32
    workers: int = 0
    graphs: bool = False

    @classmethod
    def here(cls, workers: int = 0, graphs: bool = False) -> Machine:
        """The GPU if there is one, else the CPU, with the dtype that wins there."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(device, fast_dtype(device), workers, graphs and device == "cuda")

    def arithmetic(self) -> AbstractContextManager[Any]:
        """The context in which a loss is computed.

        The cast weights are not remembered within it: a recorded graph would keep stale ones.
        """
        if self.autocast == torch.float32:
            return nullcontext()
        return torch.autocast(self.device, self.autocast, cache_enabled=not self.graphs)

    def generator(self, seed: int) -> torch.Generator:
        """A generator on the device."""
        return torch.Generator(self.device).manual_seed(seed)
