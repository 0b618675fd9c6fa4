"""How good a guess is the gradient that an attacker takes through a purifier?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..attacks.adaptive import straight_through
from ..diffusion import Diffusion
from ..errors import UserError
from ..images import check_images


def gradient_agreement(model: Diffusion, purifier: Any, images: Tensor) -> dict[str, float]:
    """Cosine of two cheap gradients to the full one, for the energy of purified latents.

    Args:
        model: whose autoencoder is attacked.
        purifier: one with a gradient of its own (``differentiable``).
        images: (n, 3, H, W) in [0, 1].

    Returns:
        "straight through" (BPDA) and "no purifier" (the attacker does not know of it), means over
        pictures, in [−1, 1]. 1 is the full gradient's direction.

    Raises:
        UserError: the purifier has no gradient of its own, or bad pictures.
    """
    check_images(images)
    if not hasattr(purifier, "differentiable"):
        raise UserError(
            f"{purifier!r} has no gradient of its own to compare with: take one with "
            '"differentiable", like "restorer"'
        )

    def slope(x: Tensor, pictures: Tensor) -> Tensor:
        mean, _ = model.posterior(pictures.clamp(0, 1))
        return torch.autograd.grad(mean.square().sum(), x)[0].flatten(1)

    x = images.clone().requires_grad_(True)
    full = slope(x, purifier.differentiable(x))
    ways = {"straight through": straight_through(purifier, x), "no purifier": x}
    return {
        name: float(torch.cosine_similarity(slope(x, pictures), full).mean())
        for name, pictures in ways.items()
    }
