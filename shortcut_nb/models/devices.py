"""Devices and dtypes: which there are here, and which are fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")


def device_of(device: str | torch.device | None) -> torch.device:
    """A device, checked to be there; None is CUDA if there is one, else the CPU.

    Raises:
        ValueError: a name that is no device, or a device that this machine has not.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return torch.device("cuda" if count else "cpu")
    have = ", ".join(["'cpu'", *(f"'cuda:{i}'" for i in range(count))])
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise UserError(f"device must be None or one of {have}; got {device!r}") from None
    if chosen.type != "cpu" and (chosen.type != "cuda" or (chosen.index or 0) >= count):
        raise UserError(f"there is no {device!r} on this machine: device may be {have}")
    return chosen


def check_dtype(autocast: Any) -> torch.dtype:
    """A dtype that UNet and VAE can run in.

    Raises:
        UserError: another, or text.
    """
    import torch

    if autocast not in [getattr(torch, name) for name in DTYPES]:
        words = ", ".join(f"torch.{name}" for name in DTYPES)
        raise UserError(f"autocast must be None or one of {words}; got {autocast!r}")
    return autocast


def fast_dtype(device: torch.device | str) -> torch.dtype:
    """The autocast dtype that wins on a device: bfloat16 on GPUs and CPUs with bf16 units.

    On a CPU without them (AVX2 only) oneDNN emulates bfloat16 some twenty times slower than
    float32, so float32 it is.
    """
    import torch

    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float32
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    has_units = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return torch.bfloat16 if has_units else torch.float32
