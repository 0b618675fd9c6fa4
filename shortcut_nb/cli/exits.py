"""How every command ends: errors of the user and interruptions as one line, and an exit code."""

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
    "address=": "--address ",
    "executor=": "--executor ",
    "force=True": "--force",
    "gpus=": "--gpus ",
    "in_place=True": "--in-place",
    "out=FOLDER": "--out FOLDER",
    "stage=STAGE": "--stage STAGE",
    "workers=": "--workers ",
}
"""How errors name arguments of the library, and what they are called on the command line."""


@dataclass
class OnInterrupt:
    """What a command says after "interrupted: ", should that happen now.

    Attributes:
        message: text, or what is made text only then, such as how much is kept by that time.
    """

    message: object = "nothing was changed"


@contextmanager
def user_errors() -> Iterator[OnInterrupt]:
    """Print an error that the user can mend as one red line and exit with 2; Ctrl-C with 130.

    Every other exception is a fault of the program and shows its traceback.
    """
    on_interrupt = OnInterrupt()
    try:
        yield on_interrupt
    except UserError as error:
        raise stop(as_option(error), 2) from None
    except KeyboardInterrupt as error:
        raise stop(f"interrupted: {str(error) or on_interrupt.message}", INTERRUPTED) from None


def run_alone(main: Callable[..., Any]) -> None:
    """Run a function of a module as a command of its own, which ends like the others."""

    @wraps(main)
    def command(*arguments: Any, **options: Any) -> None:
        with user_errors() as on_interrupt:
            on_interrupt.message = "what is finished is kept"
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
