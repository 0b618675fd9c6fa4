"""Options that take a part of an experiment: "these only"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer


def chosen(these: Sequence[str] | None, there: Iterable[str], what: str) -> list[str]:
    """The names asked for, in that order; all that there are if ``these`` is None.

    Args:
        what: a name is called in the message.

    Raises:
        typer.BadParameter: for a name that there is not; says which there are.
    """
    names = list(there)
    if unknown := [name for name in these or () if name not in names]:
        raise typer.BadParameter(f"no {what} {unknown[0]!r}; there are: {'; '.join(names)}")
    return names if these is None else list(these)
