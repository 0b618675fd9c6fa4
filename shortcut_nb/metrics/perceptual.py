"""A perceptual distance that needs no download: LPIPS's form on the lab's own CLIP."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.clip import Clip


class ClipPerceptualDistance:
    """Distance of the image tower's inner activations, layer by layer.

    As LPIPS (Zhang et al. 2018, eq. 1): activations scaled to unit length over channels, squared
    differences summed over channels and averaged over places, then over layers. LPIPS's learned
    channel weights and its VGG network are missing: values are not comparable with LPIPS's.
    """

    def __init__(self, clip: Clip) -> None:
        self.clip = clip

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """(n,) distances, 0 for equal pictures; differentiable in both (n, 3, H, W) in [0, 1]."""
        return self.between(self.activations(a), self.activations(b))

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """(n,) distances from activations, for callers who keep one side."""
        each = [
            (one - other).square().sum(1).flatten(1).mean(1)
            for one, other in zip(a, b, strict=True)
        ]
        return torch.stack(each).mean(0)

    def activations(self, images: Tensor) -> list[Tensor]:
        """Each layer's activations, (n, c, h, w), of unit length over channels."""
        features = self.clip.model.visual.forward_intermediates(
            self.clip.prepare(images), intermediates_only=True
        )
        return [_unit(layer) for layer in features["image_intermediates"]]


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt()
