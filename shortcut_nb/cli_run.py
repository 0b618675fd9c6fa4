"""`shortcut-nb run`: notebooks from top to bottom."""

from __future__ import annotations

from typing import Annotated

import typer

from .cli_doors import doors, parse_params, stop


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
    in_place: Annotated[bool, typer.Option(help="Keep the outputs in the notebook.")] = True,
) -> None:
    """Run a notebook, or all of them in order, and check what it declares.

    Example: shortcut-nb run 00_quickstart -p subject_name=photos/
    """
    with doors():
        from .experiments import notebook_files as files
        from .experiments.notebooks import NotebookFailed, run_notebook

        values = parse_params(param)
        paths = files.all_notebooks() if notebook == "all" else [files.find_notebook(notebook)]
        for path in paths:
            try:
                executed = run_notebook(path, values, timeout, in_place)
            except NotebookFailed as error:
                raise stop(str(error), 1) from None
            typer.echo(f"ran {path.name}; the executed copy is {executed}")
            for figure in files.figure_files(path):
                typer.echo(f"  figure: {figure}")
