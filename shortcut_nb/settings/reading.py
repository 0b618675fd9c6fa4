"""One value as an annotation wants it, and what the annotation allows, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, TypeAdapter

from ..errors import UserError
from .kinds import Words


def read(value: Any, hint: Any, name: str, owner: str = "") -> Any:
    """One value as an annotation wants it.

    Raises:
        ValueError: names the parameter, what is allowed, and what came.
    """
    if (
        type(value).__module__ == "numpy"
        and hasattr(value, "item")
        and getattr(value, "ndim", 1) == 0
    ):
        value = value.item()
    where = f"{owner}: " if owner else ""
    for part in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(part, Words):
            try:
                return part.read(value)
            except (ValueError, TypeError) as error:
                raise UserError(f"{where}{name} must be {part.allowed}: {error}") from None
    try:
        if isinstance(value, bool) and not _takes_truth(hint):  # True == 1, and is not meant
            raise ValueError
        return _adapter(hint).validate_python(value, strict=True)
    except ValueError:
        raise UserError(f"{where}{name} must be {allowed(hint)}; got {value!r}") from None


@cache
def _takes_truth(hint: Any) -> bool:
    """Whether an annotation takes True and False."""
    if hint in (bool, Any):
        return True
    return get_origin(hint) is not Literal and any(map(_takes_truth, get_args(hint)))


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True))


def allowed(hint: Any) -> str:
    """What an annotation allows, in words: "a whole number, at least 1"."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = [part.allowed for part in args[1:] if isinstance(part, Words)]
        return own[0] if own else ", ".join([allowed(args[0]), *_bounds(args[1:])])
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin in (Union, UnionType):
        return " or ".join("None" if arg is NoneType else allowed(arg) for arg in args)
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}
    return words.get(hint, str(getattr(hint, "__name__", hint)))


def _bounds(parts: tuple[Any, ...]) -> Iterator[str]:
    bounds: dict[type, Any] = {type(part): part for part in parts}
    low, high = bounds.get(Ge), bounds.get(Le)
    if low and high and math.isfinite(high.le) and high.le < 1e6:
        yield f"from {_plain(low.ge)} to {_plain(high.le)}"
        return
    if low:
        yield f"at least {_plain(low.ge)}"
    if Gt in bounds:
        yield f"above {_plain(bounds[Gt].gt)}"
    if high:
        yield f"at most {_plain(high.le)}"
    if Lt in bounds:
        yield f"below {_plain(bounds[Lt].lt)}"


def _plain(bound: Any) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
