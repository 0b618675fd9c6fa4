"""Down and up again: what is finer than the smaller picture's pixels is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le
from torch import Tensor
from torch.nn.functional import interpolate

from ..progress import OnStep
from .base import Purifier, register


@register("resize")
@dataclass(frozen=True)
class Resize(Purifier):
    """Shrink and enlarge to the old size, bicubic and antialiased.

    Args:
        factor: how many times smaller; 1 is the identity.
    """

    factor: Annotated[float, Ge(1), Le(1000)] = 2.0

    @property
    def reach(self) -> None:
        """None: the smaller picture's grid depends on the size of the whole."""
        return None

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.factor == 1:
            return images.clone()
        size = images.shape[-2:]
        small = [max(1, round(side / self.factor)) for side in size]
        less = interpolate(images, small, mode="bicubic", antialias=True)
        return interpolate(less, size, mode="bicubic", antialias=True).clamp(0, 1)
