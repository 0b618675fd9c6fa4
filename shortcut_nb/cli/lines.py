"""Lines that stand by themselves, also while a bar stands."""

from __future__ import annotations

from typing import Any

import typer


def say(text: str, **style: Any) -> None:
    """Print a line of its own, also while a bar stands."""
    from ..progress import between_bars

    with between_bars():
        typer.secho(text, **style)
