"""What stands in a recipe for code of one's own, classes and functions: a digest of its source.

The package's own code stands there by the versions of its stages.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

PACKAGE = __name__.partition(".")[0]


def code_of(things: Iterable[type | Callable[..., Any]], name: str = "code") -> dict[str, Any]:
    """The digests of classes and functions from outside of the package, by name, under a name.

    {} when all are the package's own, or when there is no source: keys stay what they were.
    """
    whole = [each.func if isinstance(each, partial) else each for each in things]
    kinds: list[Any] = [each if hasattr(each, "__qualname__") else type(each) for each in whole]
    digests = {each.__qualname__: _digest(each) for each in kinds}
    known = {each: digest for each, digest in digests.items() if digest}
    return {name: known} if known else {}


@cache
def _digest(thing: Any) -> str:
    """Of a function, or a class and those it derives from in the same package; "" of ours."""
    own = _top(thing)
    if own == PACKAGE:
        return ""
    sources = [_source(each) for each in getattr(thing, "__mro__", [thing]) if _top(each) == own]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest() if any(sources) else ""


def _top(thing: Any) -> str:
    return str(thing.__module__).partition(".")[0]


def _source(thing: Any) -> str:
    """The source; else its module's, else (in a notebook) that of a class's functions."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        pass
    try:
        return Path(inspect.getfile(thing)).read_text("utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        code = getattr(thing, "__code__", None)
        if code is not None:
            return f"{code.co_code!r} {code.co_consts!r} {code.co_names!r}"
        return "\0".join(filter(None, map(_text, vars(thing).values())))


def _text(value: Any) -> str:
    try:
        return inspect.getsource(getattr(value, "fget", None) or getattr(value, "__func__", value))
    except (OSError, TypeError):
        return ""
