"""Sizes of pictures that a text-to-image model can take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from ..diffusion import Diffusion


FITTING = "Put photos into a folder and give that: they are cut to squares of this size."
"""What to do with pictures of another size."""


def check_size(model: Diffusion, images: Tensor) -> Tensor:
    """Make sure that a text-to-image model can take pictures of this size; hand them back.

    Raises:
        UserError: sides that the VAE and the UNet cannot halve as often as they must.
    """
    unit, side, (high, wide) = model.unit, model.resolution, images.shape[-2:]
    if high % unit or wide % unit:
        raise UserError(
            f"the model takes pictures whose sides are multiples of {unit} pixels, best {side} x "
            f"{side}; got {high} x {wide}. {FITTING}"
        )
    return images


def check_beside_prior(model: Diffusion, images: Tensor) -> Tensor:
    """Make sure that pictures can be trained on beside the model's own of the class; hand them
    back.

    Raises:
        UserError: they are of another size.
    """
    side, (high, wide) = model.resolution, images.shape[-2:]
    if (high, wide) != (side, side):
        raise UserError(
            f"pictures are trained on beside the model's own of their class, of {side} x {side} "
            f"pixels; got {high} x {wide}. {FITTING} Or turn off what trains on class pictures, "
            "such as prior_weight=0."
        )
    return images
