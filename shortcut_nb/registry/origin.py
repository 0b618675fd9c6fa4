"""Whose a class or a function is: the package's, or somebody else's."""

from __future__ import annotations

PACKAGE = __name__.partition(".")[0]


def package_of(thing: object) -> str:
    """The outermost package or module that defines a class or a function."""
    return (getattr(thing, "__module__", None) or "builtins").partition(".")[0]
