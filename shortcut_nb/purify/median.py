"""Median filter: removes isolated outliers and keeps edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from scipy.ndimage import median_filter
from torch import Tensor

from ..errors import UserError
from ..progress import OnStep
from .base import REACH, Purifier, register


@register("median")
@dataclass(frozen=True)
class Median(Purifier):
    """The median of a ``size`` × ``size`` window, each channel by itself (Xu et al. 2018).

    Borders reflect.

    Args:
        size: side of the window in pixels, odd; 1 is the identity.
    """

    size: Annotated[int, Ge(1), Le(255)] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise UserError(f"median: size must be odd; got {self.size}")

    @property
    def reach(self) -> int:
        return max(REACH, self.size // 2)

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        pixels = images.cpu().numpy()
        out = median_filter(pixels, size=(1, 1, self.size, self.size), mode="reflect")
        return torch.from_numpy(out).to(images.device)
