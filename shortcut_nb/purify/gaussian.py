"""Gaussian blur: the bluntest low-pass filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from ..progress import OnStep
from .base import REACH, Purifier, register


@register("gaussian")
@dataclass(frozen=True)
class Gaussian(Purifier):
    """Blur by a Gaussian.

    DiffShortcut's "gau" has sigma 5 at 512 pixels (its "kernel size" is Pillow's radius), which
    is 0.6 at 64 pixels; Stable Diffusion's profiles say 5. The kernel reaches four sigma, cut to
    the picture; borders reflect.

    Args:
        sigma: standard deviation in pixels; 0 is the identity.
    """

    sigma: Annotated[float, Ge(0), Le(1000)] = 1.0

    @property
    def reach(self) -> int:
        return max(REACH, round(4 * self.sigma))

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.sigma == 0:
            return images.clone()
        reach = min(max(1, round(4 * self.sigma)), min(images.shape[-2:]) - 1)
        return gaussian_blur(images, [2 * reach + 1] * 2, [self.sigma] * 2).clamp(0, 1)
