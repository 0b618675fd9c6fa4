"""Parameters of attacks, purifiers, trainers and notebooks as they are written: name=value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UserError


def parse_params(pairs: list[str] | None, apart: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Read name=value pairs: whole numbers, decimals, true, false, lists, else text ("8/255").

    Args:
        apart: options that are no parameters, and that may be taken for some.
        more: options that set a parameter of the same name; None leaves it alone.

    Raises:
        UserError: when a pair has no "=" or no name, or a name comes twice.
    """
    params: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"expected -p name=value; got {pair!r}. Write for example -p steps=20.")
        if name in apart:
            raise UserError(f"{name} is no parameter: give --{name.replace('_', '-')}.")
        if name in params:
            raise UserError(f"parameter {name} is given twice. Give it once.")
        params[name] = read_value(text)
    for name, value in more.items():
        if value is None:
            continue
        if name in params:
            option = "--" + name.replace("_", "-")
            raise UserError(f"parameter {name} is given as -p and as {option}. Give it once.")
        params[name] = value
    return params


def read_value(text: str) -> Any:
    """A value as it is written on the command line."""
    import yaml

    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # a date that there is not
        return text
    if isinstance(value, bool):  # YAML takes yes, no, on and off for truth values too
        return value if text.strip().lower() in ("true", "false") else text
    return value if _plain(value) and text.strip() else text


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
