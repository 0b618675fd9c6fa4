"""How base models that took turns from the same pictures agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def averaged(turns: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The mean of each base model's pictures (n, 3, H, W), and of their losses (steps, n)."""
    pictures, losses = zip(*turns, strict=True)
    return torch.stack(pictures).mean(0), torch.stack(losses).mean(0)
