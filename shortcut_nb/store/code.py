"""What stands in a recipe for code of one's own: a digest of its source.

The package's own code stands there by the versions of its stages.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = __name__.partition(".")[0]


def code_of(classes: Iterable[type], name: str = "code") -> dict[str, Any]:
    """The digests of classes that are defined outside of the package, by class, under a name.

    {} when all are the package's own, or when there is no source: keys stay what they were.
    """
    digests = {each.__qualname__: _digest(each) for each in classes}
    known = {each: digest for each, digest in digests.items() if digest}
    return {name: known} if known else {}


@cache
def _digest(cls: type) -> str:
    """Of a class and those that it derives from in the same package; "" for the package's own."""
    own = _top(cls)
    if own == PACKAGE:
        return ""
    sources = [_source(each) for each in cls.__mro__ if _top(each) == own]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest() if any(sources) else ""


def _top(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _source(cls: type) -> str:
    """The source of a class; else its module's, else (in a notebook) that of its functions."""
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        pass
    try:
        return Path(inspect.getfile(cls)).read_text("utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        return "\0".join(filter(None, map(_text, vars(cls).values())))


def _text(value: Any) -> str:
    try:
        return inspect.getsource(getattr(value, "fget", None) or getattr(value, "__func__", value))
    except (OSError, TypeError):
        return ""
