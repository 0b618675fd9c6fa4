"""Bit-depth reduction: fewer grey levels than the perturbation needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le
from torch import Tensor

from ..progress import OnStep
from .base import Purifier, register


@register("quantise")
@dataclass(frozen=True)
class Quantise(Purifier):
    """Round each value to fewer bits (Xu et al. 2018).

    Args:
        bits: of each value; 8 leaves an 8-bit picture as it is.
    """

    bits: Annotated[int, Ge(1), Le(8)] = 4

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        levels = 2**self.bits - 1
        return (images * levels).round() / levels
