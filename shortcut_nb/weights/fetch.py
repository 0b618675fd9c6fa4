"""Bring a profile's weights to this machine: with progress, resumed, and checked afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..profile import Profile
from .folders import check_weights
from .refs import ModelRef, checked, resolve, verify


@dataclass(frozen=True)
class Fetched:
    """One model that is here now.

    Attributes:
        role: in the profile.
        path: its folder or file.
        checked: how many files were held against their SHA-256.
    """

    role: str
    path: Path
    checked: int


def fetch(profile: Profile, on_model: Callable[[str, str], None] | None = None) -> list[Fetched]:
    """Fetch every model of a profile that is not here whole, and check all of them.

    A file that was cut off goes on where it stopped. What comes with a package,
    which pip has to bring, is looked at last.

    Args:
        on_model: called with role and id before each.

    Raises:
        MissingWeights: no network, or no such model; in one sentence.
        BadWeights: what is here, or what arrived, is not what the profile names.
    """
    models = sorted(profile.models().items(), key=lambda item: item[1].id.startswith("module:"))
    return [_one(role, ref, on_model) for role, ref in models]


def _one(role: str, ref: ModelRef, on_model: Callable[[str, str], None] | None) -> Fetched:
    if on_model:
        on_model(role, ref.id)
    try:
        path = checked(ref)
    except UserError:  # not here, or not whole
        path = resolve(ref, download=True)
        check_weights(path, ref.loader, ref.sha256 or None)
    return Fetched(role, path, verify(ref))
