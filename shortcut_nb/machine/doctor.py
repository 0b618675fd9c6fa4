"""What this machine has and what profiles lack on it; no model is opened."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..profile import Profile, available_profiles, is_shipped, load_profile
from ..weights import BadWeights, MissingWeights, ModelRef, checked, resolve
from .memory import counted_for, kinds_of, table
from .versions import TESTED, installed, is_tested

LIBRARIES = ("shortcut-nb", *TESTED, "papermill")

# What the drivers of NVIDIA (also under Windows' Linux) and AMD put there.
GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")


def diagnose(profiles: list[str | Path] | None = None) -> dict[str, Any]:
    """Versions, device, memory in bytes, and for each profile the weights it lacks.

    Args:
        profiles: names or YAML files; None is all that come with the package.

    Returns:
        Plain values: ``versions`` (name → version), ``untested`` (name → lowest and newest
        tested), ``device``, ``device_memory``, ``memory``, ``threads``, ``store``, and
        ``profiles``: name → role → what is wrong.

    Raises:
        UserError: a profile that cannot be read.
    """
    opened = [load_profile(name) for name in profiles or available_profiles()]
    lacking = {profile.name: lacks(profile) or wrong_settings(profile) for profile in opened}
    versions = {name: installed(name) for name in LIBRARIES}
    return {
        "python": platform.python_version(),
        "versions": {name: version or "not installed" for name, version in versions.items()},
        "untested": {
            name: list(TESTED[name])
            for name, version in versions.items()
            if not is_tested(name, version)
        },
        **_machine(),
        "profiles": lacking,
    }


def lacks(profile: Profile | str | Path) -> dict[str, str]:
    """The models of a profile that cannot be used here, each with what to do about it.

    Configurations, headers and digests of every part are read: an incomplete snapshot is found.
    """
    missing = {}
    for role, ref in load_profile(profile).models().items():
        if what := problem(ref):
            missing[role] = what
    return missing


def wrong_settings(profile: Profile) -> dict[str, str]:
    """What is wrong with a profile's own attacks, purifiers and trainers.

    Looking loads the libraries. So it is done where all weights are here, and not for the package's
    profiles, which are tested.
    """
    if is_shipped(profile):
        return {}
    from ..settings.defaults import check_defaults

    try:
        check_defaults(profile)
    except UserError as error:
        return {"settings": str(error)}
    return {}


def problem(ref: ModelRef) -> str:
    """What is wrong with a model's weights, in one line; "" when they can be used."""
    try:
        checked(ref)
    except (BadWeights, MissingWeights) as error:
        return str(error)
    return ""


def _machine() -> dict[str, Any]:
    """Device, memory and store; torch is loaded only where there may be a GPU to ask it about."""
    from ..store import Store

    name, size = _gpu() if any(map(os.path.exists, GPU_FILES)) else ("cpu", None)
    return {
        "device": name,
        "device_memory": size,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        "store": str(Store().root),
    }


def _gpu() -> tuple[str, int | None]:
    """Name and bytes of memory of the GPU that torch can use; ("cpu", None) without one."""
    import torch

    if not torch.cuda.is_available():
        return "cpu", None
    return torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory


def memory_lines(profiles: list[str | Path]) -> list[str]:
    """What attacks and methods need of a card's memory, for the models of profiles.

    Raises:
        UserError: a profile that cannot be read.
    """
    card, lines = _machine()["device_memory"], []
    for name in profiles:
        profile = load_profile(name)
        width = _width(profile)
        kinds = kinds_of(width, profile.resolution)
        if not kinds:
            lines.append(f"memory of {profile.name}: counted for {counted_for()} only")
            continue
        if width is None:
            lines.append(f"memory of {profile.name}: its weights are not here; either shape")
        lines += [line for kind in kinds for line in table(kind, card)]
    return lines


def _width(profile: Profile) -> int | None:
    """Width of the prompts' states of a profile's text-to-image model; None is not here."""
    try:
        path = resolve(profile.diffusion) / "unet" / "config.json"
        return int(json.loads(path.read_text(encoding="utf-8"))["cross_attention_dim"])
    except (BadWeights, MissingWeights, OSError, ValueError, KeyError, TypeError):
        return None
