"""`shortcut-nb run`: notebooks from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .exits import stop, user_errors
from .params import parse_params


def run(
    notebook: Annotated[
        str, typer.Argument(help="A notebook (00_quickstart, 00, a path), or all.")
    ],
    param: Annotated[
        list[str] | None, typer.Option("-p", "--param", help="A parameter, name=value; repeatable.")
    ] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds that one cell may take.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="A folder for the executed copy and its figures.")
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Also keep outputs in the notebook; without -p only."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in --out.")] = False,
) -> None:
    """Run a notebook, or all of them in order, and check what it declares.

    The executed copy and its figures go to a folder of their own, one for each notebook and set
    of parameters: below the store, or beside a notebook of yours. What is tracked is left alone.

    Example: shortcut-nb run 00_quickstart -p subject_name=photos/
    Every notebook on your photos: shortcut-nb run all -p profile=sd21:smoke -p subject_name=photos/
    """
    with user_errors():
        values = parse_params(param)
        from ..errors import UserError
        from ..runner import NotebookFailed, all_notebooks, find_notebook, run_notebook

        if notebook == "all" and out:
            raise UserError("--out belongs to one notebook: name it in place of 'all'.")
        paths = all_notebooks() if notebook == "all" else [find_notebook(notebook)]
        shares = each_its_own(paths, values) if notebook == "all" else {paths[0]: values}
        for path, own in shares.items():
            try:
                ran = run_notebook(path, own, timeout, in_place, out, force)
            except NotebookFailed as error:
                raise stop(str(error), 1) from None
            typer.echo(f"finished {path.name}: the executed copy is {ran.copy}")
            for figure in ran.figures:
                typer.echo(f"  figure: {figure}")


def each_its_own(paths: Sequence[Path], values: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """For every notebook those parameters that it has.

    Raises:
        UserError: a parameter that no notebook has.
    """
    from ..errors import UserError
    from ..runner.contents import read_notebook
    from ..runner.parameters import defaults_of

    known = {path: defaults_of(read_notebook(path), path.name) for path in paths}
    every = set().union(*known.values())
    if unknown := sorted(set(values) - every):
        raise UserError(
            f"no notebook has a parameter {unknown[0]!r}; they have: {', '.join(sorted(every))}."
        )
    return {
        path: {name: value for name, value in values.items() if name in own}
        for path, own in known.items()
    }
