"""What all settings are: a frozen dataclass that is checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, get_type_hints

from .reading import read

ADDED = {"omit": True}
"""Metadata of a field that came later: left out of the names of stored work at its default.

See :func:`shortcut_nb.store.recipe.compared_fields`."""


@dataclass(frozen=True)
class Settings:
    """The parameters of an attack, a purifier or a trainer; a value that can be compared.

    Raises:
        ValueError: when made, for a parameter of another type or out of its range.
    """

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check(self)


def check(owner: Any) -> None:
    """Check every field of a frozen dataclass against its annotation, and keep what was read.

    Whole numbers are taken for decimals, NumPy's numbers for Python's; nothing else is converted.

    Raises:
        ValueError: names the parameter, what is allowed, and what came.
    """
    hints = hints_of(owner.__class__)
    for field in fields(owner):
        value = getattr(owner, field.name)
        kept = read(value, hints[field.name], field.name, getattr(owner, "name", ""))
        if kept is not value:
            object.__setattr__(owner, field.name, kept)


@cache
def hints_of(cls: type) -> dict[str, Any]:
    """The annotations of a class's fields, by name."""
    return get_type_hints(cls, include_extras=True)
