"""A profile's ``defaults:`` and ``purifier:`` are known attacks, purifiers and trainers."""

from __future__ import annotations

from ..attacks import ATTACKS
from ..errors import UserError
from ..personalize import TRAINERS
from ..profile import Profile
from ..purify import PURIFIERS, build, expand
from ..registry import nearest
from .describing import make


def check_defaults(profile: Profile) -> None:
    """Make sure that every entry of a profile's ``defaults`` can be made, and its ``purifier``.

    Raises:
        UserError: an unknown name or parameter (the nearest are listed), or a wrong value.
    """
    known = ATTACKS | PURIFIERS | TRAINERS
    for name, params in profile.defaults.items():
        where = f"profile {profile.name}, defaults"
        if name not in known:
            raise UserError(
                f"{where}: there is no attack, purifier or trainer {name!r}; the nearest are "
                f"{nearest(name, known)}"
            )
        try:
            make(known[name], params)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    try:
        build(expand(profile.purifier, profile.purifiers))
    except UserError as error:
        raise UserError(f"profile {profile.name}, purifier: {error}") from None
