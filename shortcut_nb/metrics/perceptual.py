"""A perceptual distance that needs no download: LPIPS's form on the lab's own CLIP."""

from __future__ import annotations

from torch import Tensor

from ..clip import Clip


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
        total = a.new_zeros(len(a))
        layers = list(zip(self._activations(a), self._activations(b), strict=True))
        for one, other in layers:
            away = (_unit(one) - _unit(other)).square().sum(1)
            total = total + away.flatten(1).mean(1).to(total.device)
        return total / len(layers)

    def _activations(self, images: Tensor) -> list[Tensor]:
        found = self.clip.model.visual.forward_intermediates(
            self.clip.prepare(images), intermediates_only=True
        )
        return found["image_intermediates"]


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt()
