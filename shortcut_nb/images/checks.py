"""The check at the door: is this a batch of pictures?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import UserError, WrongType

SMALLEST = 8
_TOLERANCE = 1e-4


def check_images(x: Tensor, name: str = "images") -> Tensor:
    """Make sure that `x` is a batch of pictures, and hand it back unchanged.

    Args:
        x: float32, (N, 3, H, W), finite, in [0, 1] within 1e-4.
        name: what the messages call it.

    Raises:
        WrongType: when `x` is not a tensor.
        UserError: when shape, dtype or values are wrong; says what to do.
    """
    if not isinstance(x, Tensor):
        raise WrongType(
            f"{name} must be a torch.Tensor (N, 3, H, W); got {type(x).__name__}. "
            "Read files with shortcut_nb.images.load_folder."
        )
    shape = tuple(x.shape)
    if x.ndim != 4:
        hint = "Add a batch axis with x[None]." if x.ndim == 3 else "Stack pictures in one batch."
        raise UserError(f"{name} must have 4 axes (N, 3, H, W); got shape {shape}. {hint}")
    if shape[1] != 3:
        hint = "Call x.permute(0, 3, 1, 2) first." if shape[3] == 3 else "Convert to RGB first."
        raise UserError(f"{name} must have 3 channels (N, 3, H, W); got shape {shape}. {hint}")
    if x.dtype != torch.float32:
        hint = (
            "Call from_u8(x) first."
            if x.dtype == torch.uint8
            else "Call x.to(torch.float32) first."
        )
        raise UserError(f"{name} must be float32; got {x.dtype}. {hint}")
    if shape[0] == 0:
        raise UserError(f"{name} must hold at least one picture; got shape {shape}.")
    if min(shape[2:]) < SMALLEST:
        raise UserError(
            f"{name} must be at least {SMALLEST} x {SMALLEST} pixels; got {shape[2]} x {shape[3]}. "
            "Use larger pictures."
        )
    check_values(x, name)
    return x


def check_values(x: Tensor, name: str) -> None:
    """Make sure that values of any shape are finite and in [0, 1] within 1e-4.

    Raises:
        UserError: they are not, or there are whole numbers; says what to do.
    """
    if not x.is_floating_point():
        raise UserError(f"{name} must be float in [0, 1]; got {x.dtype}. Call from_u8(x) first.")
    if x.numel() == 0:
        return
    low, high = x.min().item(), x.max().item()  # a NaN anywhere makes both NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(
            f"{name} must be finite; got NaN or infinity. Look at the step that made them "
            "(a too large learning rate, or half precision)."
        )
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        if high > 16:
            hint = "(looks like [0, 255]). Divide by 255 first."
        elif low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE:
            hint = "(looks like [-1, 1]). Call (x + 1) / 2 first."
        else:
            hint = "Call x.clamp(0, 1) first."
        raise UserError(
            f"{name} must be in [0, 1]; got min {low:.2f}, max {high:.2f} {hint}".strip()
        )
