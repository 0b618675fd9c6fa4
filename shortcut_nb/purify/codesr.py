"""CodeSR, the paper's purifier, as the name of a chain."""

from __future__ import annotations

from collections.abc import Collection

from .base import ALIASES

RESTORERS = ("face-restorer", "restorer")


def codesr(named: Collection[str] = ()) -> str:
    """CodeSR, the paper's purifier: restoration, then super-resolution (a chain).

    The restorer is the profile's: a face restorer where it names one (the paper has CodeFormer),
    else its general one. DiffShortcut leaves pictures of other classes than "person" as they are
    in the first step; here every picture is restored.

    Args:
        named: the models that the profile names for purifiers.
    """
    restorer = next((name for name in RESTORERS if name in named), "restorer")
    return f"{restorer}+sr"


ALIASES["codesr"] = codesr
