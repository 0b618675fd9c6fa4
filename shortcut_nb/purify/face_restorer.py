"""Face restoration: the literature's networks draw the face anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..images import resized
from ..networks import FaceNetwork
from ..progress import OnStep
from ..settings import Count, Share
from .base import Purifier, by_batches, register
from .windows import padded


@register("face-restorer")
@dataclass(frozen=True)
class FaceRestorer(Purifier):
    """CodeFormer (Zhou et al. 2022), GFPGAN or RestoreFormer on the whole picture.

    The picture is padded to a square, resized to the network's 512 pixels, restored, and resized
    back. The published scripts find, align and cut out each face first, and paste it back after;
    here a picture should show one face that fills it, as DreamBooth's photos do. DiffShortcut
    also has CodeFormer enlarge the picture twofold.

    Args:
        strength: 0 is the identity, 1 the network's picture, in between a linear blend.
        fidelity: CodeFormer's w: 0 trusts its codebook, 1 the picture. 0.5 as in DiffShortcut.
            The other networks have none.
        batch: pictures per forward pass.
    """

    strength: Share = 1.0
    fidelity: Share = 0.5
    batch: Count = field(default=4, compare=False, repr=False)

    @property
    def roles(self) -> tuple[str, ...]:
        return ("purifier:face-restorer",)

    @torch.no_grad()
    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        if self.strength == 0:
            return images.clone()
        network = models.purifier_model(self.name)
        restored = by_batches(
            len(images), self.batch, lambda rows: self._restore(network, images[rows]), on_step
        )
        return torch.lerp(images, restored, self.strength).clamp(0, 1)

    def _restore(self, network: FaceNetwork, images: Tensor) -> Tensor:
        def square(x: Tensor) -> Tensor:
            small = resized(x, (network.side, network.side))
            return resized(network(small, self.fidelity), x.shape[-2:])

        return padded(square, images, 1, least=max(images.shape[-2:]))
