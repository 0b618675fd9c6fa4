"""No purification: the baseline of every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..progress import OnStep
from .base import Purifier, register


@register("none")
@dataclass(frozen=True)
class Nothing(Purifier):
    """Hand pictures back as they came, as a copy."""

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        return images.clone()

    def differentiable(self, images: Tensor, models: Any = None) -> Tensor:
        """The same, with gradients."""
        return images
