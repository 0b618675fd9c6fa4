"""Which AdamW a fine-tuning takes."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import MissingLibrary, UserError
from .lean import HostAdamW


def adamw(
    groups: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    *,
    in_8_bits: bool = False,
    host_states: bool = False,
    fused: bool = False,
) -> torch.optim.Optimizer:
    """AdamW of parameter groups, each with its learning rate.

    Args:
        lr: of groups without one.
        in_8_bits: bitsandbytes' with 8-bit states; goes before the other two.
        host_states: with its moments in host memory; see :class:`.lean.HostAdamW`.
        fused: PyTorch's fused kernel; goes before ``host_states``.

    Raises:
        MissingLibrary: ``in_8_bits`` without bitsandbytes.
        UserError: no fused kernel for where the parameters are.
    """
    if in_8_bits:
        return _adamw_8bit()(groups, lr=lr, weight_decay=weight_decay)
    if host_states and not fused:
        return HostAdamW(groups, lr=lr, weight_decay=weight_decay)
    try:
        return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, fused=fused or None)
    except RuntimeError as error:
        raise UserError(f"fused AdamW does not run here: leave fused off ({error})") from None


def _adamw_8bit() -> Any:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise MissingLibrary(
            "adam_8bit wants bitsandbytes: install the extra with pip install 'shortcut-nb[real]', "
            "or leave adam_8bit off"
        ) from error
    return AdamW8bit
