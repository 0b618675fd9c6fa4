"""The parameters of settings: their names, what each may be and means; settings by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from ..errors import UserError
from ..registry import nearest
from .reading import allowed
from .settings import hints_of

S = TypeVar("S")


def parameters(cls: type) -> list[str]:
    """The names of a settings class's parameters."""
    return [field.name for field in _parameters(cls)]


def _parameters(cls: type) -> list[Field[Any]]:
    """Fields that are parameters; those that many classes share (keyword only) last."""
    own = [field for field in fields(cls) if field.init and field.compare]
    return sorted(own, key=lambda field: bool(field.kw_only))


def make(cls: type[S], params: Mapping[str, Any]) -> S:
    """An instance from parameters by name.

    Raises:
        ValueError: an unknown parameter (the nearest are listed), or a wrong value.
    """
    known, called = parameters(cls), getattr(cls, "name", "") or cls.__name__
    for name in params:
        if name not in known:
            raise UserError(
                f"{called} has no parameter {name!r}: the nearest are {nearest(name, known)}. "
                f"It has {', '.join(known) or 'none'}"
            )
    return cls(**params)


def describe(cls: type) -> list[dict[str, Any]]:
    """The parameters of a settings class, in order, for lists and help pages.

    Returns:
        Records with ``name``, ``default`` (None without one), ``allowed`` (type and range in
        words), ``description`` (from the docstrings), ``source`` (the class that declares it).
    """
    hints, texts = hints_of(cls), _descriptions(cls)
    owners = {
        name: base.__name__
        for base in reversed(cls.__mro__)
        for name in vars(base).get("__annotations__", {})
    }
    return [
        {
            "name": field.name,
            "default": _default(field),
            "allowed": allowed(hints[field.name]),
            "description": texts.get(field.name, ""),
            "source": owners.get(field.name, cls.__name__),
        }
        for field in _parameters(cls)
    ]


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return None if field.default_factory is MISSING else field.default_factory()


_ENTRY = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


def _descriptions(cls: type) -> dict[str, str]:
    """The "Args:" entries of a class and its bases, the nearest class's first."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        names: list[str] = []
        for line in _args(inspect.cleandoc(base.__doc__ or "").splitlines()):
            entry = None if line.startswith(" ") else _ENTRY.match(line)
            if entry:
                names = entry.group(1).split(", ")
                texts |= dict.fromkeys(names, entry.group(2))
            else:
                texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts


def _args(lines: list[str]) -> list[str]:
    """The lines under "Args:", without their indentation."""
    starts = [i for i, line in enumerate(lines) if line.strip() == "Args:"]
    if not starts:
        return []
    entries = []
    for line in lines[starts[0] + 1 :]:
        if line.strip() and not line.startswith("    "):
            break
        if line.strip():
            entries.append(line[4:])
    return entries
