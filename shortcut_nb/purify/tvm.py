"""Total variation minimisation (Guo et al. 2018): drop pixels, then fill in the smoothest way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Gt, Le
from scipy.ndimage import distance_transform_edt
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from ..progress import OnStep, StepInfo
from ..settings import Count, Seed, Weight
from .base import Purifier, register


@register("tvm")
@dataclass(frozen=True)
class TVM(Purifier):
    """min_Z ½‖M ∘ (Z − x)‖² + weight · TV(Z), with a random mask M that keeps ``keep`` of x.

    Solved at full resolution by proximal gradient steps whose proximal map is scikit-image's
    total-variation solver, each channel by itself; without a mask one step is exact.

    Args:
        weight: of the total variation; 0 with ``keep=1`` is the identity.
        keep: share of pixels kept; 0.5 in the reference, 0.98 in DiffShortcut.
        iterations: proximal steps when some pixels are dropped.
        seed: of the mask, which is the same for every picture.
    """

    weight: Weight = 0.03
    keep: Annotated[float, Gt(0), Le(1)] = 0.5
    iterations: Count = 20
    seed: Seed = 0

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        pixels = images.cpu().numpy()
        mask = np.random.default_rng([self.seed, 11]).random(pixels.shape[2:]) < self.keep
        out = []
        for done, picture in enumerate(pixels, start=1):
            out.append(np.stack([self._fill(channel, mask) for channel in picture]))
            on_step(StepInfo(done, len(pixels)))
        filled = torch.from_numpy(np.stack(out)).float().clamp(0, 1)
        return filled.to(images.device)

    def _fill(self, channel: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if mask.all():
            return self._smooth(channel, 1e-7)
        if not mask.any():
            return np.full_like(channel, channel.mean())
        # The first guess of a dropped pixel is the nearest one kept.
        nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
        filled = channel[tuple(nearest)]
        for _ in range(self.iterations):
            filled = self._smooth(np.where(mask, channel, filled), 1e-5)
        return filled

    def _smooth(self, channel: np.ndarray, tolerance: float) -> np.ndarray:
        if self.weight == 0:
            return channel
        # scikit-image minimises the same sum; its stopping rule is loose by default.
        return denoise_tv_chambolle(channel, weight=self.weight, eps=tolerance, max_num_iter=2000)
