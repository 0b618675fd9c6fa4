"""What every command does: errors of the user and interruptions as one line, parameters as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import typer

from ..errors import UserError

INTERRUPTED = 130
OPTIONS = {
    "force=True": "--force",
    "in_place=True": "--in-place",
    "out=FOLDER": "--out FOLDER",
    "stage=STAGE": "--stage STAGE",
}
"""How errors name arguments of the library, and what they are called on the command line."""


@dataclass
class Work:
    """What a command would say, as text, if it were interrupted now."""

    kept: Any = "nothing was changed"


@contextmanager
def doors() -> Iterator[Work]:
    """Print an error that the user can mend as one red line and exit with 2; Ctrl-C with 130.

    Every other exception is a fault of the program and shows its traceback.
    """
    work = Work()
    try:
        yield work
    except UserError as error:
        raise stop(as_option(error), 2) from None
    except KeyboardInterrupt as error:
        raise stop(f"interrupted: {str(error) or work.kept}", INTERRUPTED) from None


def run_alone(main: Callable[..., Any]) -> None:
    """Run a function of a module as a command of its own, with these doors."""

    @wraps(main)
    def command(*arguments: Any, **options: Any) -> None:
        with doors() as work:
            work.kept = "what is finished is kept"
            main(*arguments, **options)

    typer.run(command)


def as_option(error: UserError) -> str:
    """What an error says, with the options of a command for the library's arguments."""
    text = str(error)
    for argument, option in OPTIONS.items():
        text = text.replace(argument, option)
    return text


def stop(text: str, code: int) -> typer.Exit:
    """Print one red line; the exception that ends the command."""
    typer.secho(" ".join(text.split()), fg="red", err=True)
    return typer.Exit(code)


def parse_params(pairs: list[str] | None, **more: Any) -> dict[str, Any]:
    """Read name=value pairs: whole numbers, decimals, true, false, lists, else text ("8/255").

    Args:
        more: options that set a parameter of the same name; None leaves it alone.

    Raises:
        UserError: when a pair has no "=" or no name, or a name comes twice.
    """
    params: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"expected -p name=value; got {pair!r}. Write for example -p steps=20.")
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
