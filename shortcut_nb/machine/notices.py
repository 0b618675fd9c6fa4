"""What is said once, in one line, before any model is opened."""

from __future__ import annotations

import logging

from ..errors import UserError
from ..profile import PROFILES, Profile
from ..weights import IN_MEMORY, resolve
from .versions import outside

log = logging.getLogger("shortcut_nb")
_GIVEN: set[str] = set()


def announce(profile: Profile) -> None:
    """Warn, once per process, of untested libraries and of a model that is not on this machine."""
    if untested := outside():
        _once(f"not tested with {', '.join(untested)}: pip install -c constraints.txt")
    if profile.diffusion.id.startswith(IN_MEMORY):
        return
    try:
        resolve(profile.diffusion)
    except UserError:
        _once(
            f"profile {profile.name}: its text-to-image model {profile.diffusion.id!r} is not on "
            f"this machine; `shortcut-nb fetch {_named(profile)}` brings it."
        )


def _named(profile: Profile) -> str:
    """What ``fetch`` takes: a name of the package's, without its preset; else a file's."""
    name, _, _ = profile.name.partition(":")
    return name if (PROFILES / f"{name}.yaml").is_file() else "FILE.yaml"


def _once(text: str) -> None:
    if text not in _GIVEN:
        _GIVEN.add(text)
        log.warning("%s", text)
