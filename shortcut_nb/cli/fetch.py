"""`shortcut-nb fetch`: bring a profile's weights to this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from ..templates import counted
from .exits import user_errors


def fetch(
    profile: Annotated[str, typer.Argument(help="A profile, sd21 or sd21:smoke, or a YAML file.")],
) -> None:
    """Fetch every model that a profile names, and check it; what was cut off goes on.

    Example: shortcut-nb fetch sd15
    """
    with user_errors() as on_interrupt:
        from ..profile import load_profile
        from ..weights.fetch import fetch as bring

        on_interrupt.message = "what was fetched is kept; run the same command to go on"
        models = bring(
            load_profile(profile), lambda role, name: typer.echo(f"{role}: {name}", err=True)
        )
        for model in models:
            checked = f"{counted(model.checked, 'file')} with the right sha256"
            result = checked if model.checked else "whole"
            typer.echo(f"{model.role}: {result}, in {model.path}")
