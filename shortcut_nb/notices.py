"""What is said once, in one line, before any model is opened."""

from __future__ import annotations

import logging

from .errors import UserError
from .profile import Profile
from .versions import outside
from .weights import resolve

log = logging.getLogger("shortcut_nb")
_SAID: set[str] = set()


def announce(profile: Profile) -> None:
    """Warn, once per process, of untested libraries and of a model that is not on this machine."""
    if untested := outside():
        _once(f"not tested with {', '.join(untested)}: pip install -c constraints.txt")
    if profile.diffusion.id.startswith("memory:"):
        return
    try:
        resolve(profile.diffusion)
    except UserError as error:
        _once(f"profile {profile.name}: {error} `shortcut-nb fetch` brings all of a profile's.")


def _once(text: str) -> None:
    if text not in _SAID:
        _SAID.add(text)
        log.warning("%s", text)
