"""What stands in a recipe for code of one's own, classes and functions: a digest of its source.

The package's own code stands there by the versions of its stages.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path, PurePath
from types import CodeType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..registry.origin import PACKAGE, package_of
from .recipe import digest

MADE_BY_PYTHON = {
    "__module__",
    "__doc__",
    "__dict__",
    "__weakref__",
    "__qualname__",
    "__slotnames__",
    "__firstlineno__",
    "__static_attributes__",
}
"""What is in a class without that anybody wrote it there."""


def code_of(things: Iterable[type | Callable[..., Any]], name: str = "code") -> dict[str, Any]:
    """The digests of classes and functions from outside of the package, by name, under a name.

    {} when all are the package's own: keys stay what they were.
    """
    digests: dict[str, list[str]] = {}
    for thing in things:
        kind = _kind(thing)
        if (digest := _digest(thing, kind)) and digest not in digests.get(kind.__qualname__, ()):
            digests.setdefault(kind.__qualname__, []).append(digest)
    known = {each: " ".join(several) for each, several in digests.items()}
    return {name: known} if known else {}


def _kind(thing: Any) -> Any:
    """The class or function whose source counts: that of a partial, and of what can be called."""
    whole = thing.func if isinstance(thing, partial) else thing
    return whole if hasattr(whole, "__qualname__") else type(whole)


def _digest(thing: Any, kind: Any) -> str:
    """Of a function, or a class and those of one's own that it derives from, and of what is bound
    to it; "" of what is the package's."""
    texts = [_source(each) for each in getattr(kind, "__mro__", [kind]) if _is_own(each, kind)]
    if isinstance(thing, partial):
        texts.append(_plain((thing.args, thing.keywords)))
    elif isinstance(thing, MethodType):
        texts.append(_plain(getattr(thing.__self__, "__dict__", {})))
    elif texts and thing is not kind:
        texts.append(_plain(getattr(thing, "__dict__", {})))
    return hashlib.sha256("\0".join(texts).encode()).hexdigest() if any(texts) else ""


def _is_own(thing: Any, kind: Any) -> bool:
    """Whether it is neither the package's nor Python's, nor of a package that is installed; those
    of the same package as the kind itself count wherever that lies."""
    top = package_of(thing)
    if top == PACKAGE or top in sys.stdlib_module_names:
        return False
    if top == package_of(kind):
        return True
    file = getattr(sys.modules.get(thing.__module__), "__file__", None) or ""
    return not {"site-packages", "dist-packages"} & set(Path(file).parts)


@cache
def _source(thing: Any) -> str:
    """The source; else (in a notebook) that of a class with its values, else a function's
    code. Of a function besides what it closes over."""
    closed = [
        cell.cell_contents for cell in getattr(thing, "__closure__", None) or () if _full(cell)
    ]
    bound = _plain(closed) if any(map(_plain, closed)) else ""
    try:
        return _text_of(thing) + bound
    except (OSError, TypeError):
        if isinstance(thing, type):
            return "\0".join(_members(thing))
        return _compiled(getattr(thing, "__code__", None)) + bound


def _text_of(thing: Any) -> str:
    """The source of a class or function.

    Of a class that no file holds, Python 3.13 and newer give the line of its number in the file of
    its module: such text does not define it.

    Raises:
        OSError, TypeError: there is none.
    """
    text = inspect.getsource(thing)
    if sys.version_info >= (3, 13) and isinstance(thing, type):
        head = rf"^\s*class\s+{re.escape(thing.__name__)}\b"
        if not re.search(head, text, re.MULTILINE):
            raise OSError(f"the source of {thing.__name__} is not to be had")
    return text


def _full(cell: Any) -> bool:
    """Whether a closure's cell has its value by now."""
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _members(kind: type) -> Iterator[str]:
    """The source of a class's functions, and its values, in the order in which they are there."""
    for name, value in vars(kind).items():
        inner = getattr(value, "fget", None) or getattr(value, "func", None)
        inner = inner or getattr(value, "__func__", value)
        if name in MADE_BY_PYTHON or name.startswith("__dataclass"):
            continue
        if code := getattr(inner, "__code__", None):
            yield _written(inner, code)
        elif text := _plain(value):
            yield f"{name} = {text}"


def _written(function: Any, code: CodeType) -> str:
    """A function's source; its code where there is none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return _compiled(code)


def _compiled(code: CodeType | None) -> str:
    """What a function does, where its source cannot be had; the same in each process."""
    if code is None:
        return ""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    values = [each for each in code.co_consts if not isinstance(each, CodeType)]
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return f"{code.co_code!r} {_plain(values)} {names} {[_compiled(each) for each in inner]}"


def _plain(value: Any) -> str:
    """Plain values as text that is the same in each process; "" of others, which are left out of
    what holds them."""
    if isinstance(value, str | bytes | int | float | complex | bool | type(None)):
        return repr(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.ndarray | Tensor):
        return digest(torch.as_tensor(value))
    if isinstance(value, dict):
        return repr([(_plain(key), _plain(each)) for key, each in value.items()])
    if isinstance(value, list | tuple):
        return repr([_plain(each) for each in value])
    if isinstance(value, set | frozenset):
        return repr(sorted(_plain(each) for each in value))
    return ""
