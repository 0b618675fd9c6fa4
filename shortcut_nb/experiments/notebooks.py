"""A thin runner over papermill that fails when something should have happened and did not.

papermill alone succeeds on a misspelt parameter, on a missing `parameters` tag, and on a run
that draws nothing. This runner checks names before and declared figures after.
"""

from __future__ import annotations

import ast
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from shortcut_nb.experiments.notebook_files import (
    figure_files,
    figures_dir,
    find_notebook,
    publish,
    write_notebook,
)
from shortcut_nb.progress import HEADLESS

log = logging.getLogger("shortcut_nb")
ABSENT = (-1, -1, -1)


class NotebookFailed(RuntimeError):
    """A notebook stopped, or ended without what it declares; the message names the cell."""


def run_notebook(
    name_or_path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    timeout: int | None = None,
    in_place: bool = True,
) -> Path:
    """Run a notebook from top to bottom and check that it did what it declares.

    Args:
        name_or_path: "00_quickstart", a unique start of a name ("00"), or a path.
        parameters: values for names of the cell tagged `parameters`; budgets as "8/255".
        timeout: seconds that one cell may take; None for no limit.
        in_place: keep the cleaned outputs in the notebook itself. Only a run with the
            notebook's own parameters is kept so; another stays in build/executed.

    Returns:
        The path of the executed copy, below build/executed.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: an unknown parameter name, a value of another type, or no `parameters` cell.
        NotebookFailed: a cell raised, the kernel died, or declared figures are missing or old.
    """
    path = find_notebook(name_or_path)
    parameters = dict(parameters or {})
    check_parameters(path, parameters)
    executed = path.parent.parent / "build" / "executed" / path.name
    executed.parent.mkdir(parents=True, exist_ok=True)
    before = {file: _stamp(file) for file in figure_files(path)}
    log.info("running %s", path.name)
    with _environment({HEADLESS: "1", "SHORTCUT_NB_FIGURES": str(figures_dir(path))}):
        _execute(path, executed, parameters, timeout)
    check_figures(before)
    if in_place and not parameters:
        write_notebook(publish(path, executed), path)
    return executed


def check_parameters(path: Path, parameters: Mapping[str, Any]) -> None:
    """Make sure that the notebook has one `parameters` cell, and every name in it.

    Raises:
        ValueError: naming what is wrong and the names there are.
    """
    notebook = nbformat.read(path, as_version=4)
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(
            f"{path.name} must have exactly one cell tagged 'parameters'; found {len(tagged)}. "
            "Tag the cell that holds the literal assignments."
        )
    known = papermill.inspect_notebook(str(path))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(
            f"{path.name} has no parameter {', '.join(unknown)}. "
            f"It has: {', '.join(sorted(known)) or 'none'}."
        )
    for name, value in parameters.items():
        try:
            default = ast.literal_eval(known[name]["default"])
        except (ValueError, SyntaxError):
            continue
        if not _fits(value, default):
            raise ValueError(
                f"parameter {name} of {path.name} is {type(default).__name__} (default "
                f"{default!r}); got {value!r} ({type(value).__name__})."
            )


def _fits(value: Any, default: Any) -> bool:
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    if isinstance(default, (list, tuple)):
        return isinstance(value, (list, tuple))
    return isinstance(value, type(default))


def check_figures(before: Mapping[Path, tuple[int, int, int]]) -> None:
    """Make sure that each declared figure was written since its stamp was taken.

    Raises:
        NotebookFailed: listing what is missing, empty or old.
    """
    missing = [f.name for f in before if not f.is_file() or f.stat().st_size == 0]
    old = [f.name for f, was in before.items() if f.name not in missing and _stamp(f) == was]
    if missing or old:
        found = [f"missing or empty: {', '.join(missing)}"] if missing else []
        found += [f"not drawn by this run: {', '.join(old)}"] if old else []
        raise NotebookFailed(
            f"the notebook ran, but declares figures that it did not make ({'; '.join(found)}). "
            "Draw them with save_figure, or correct its metadata shortcut_nb.figures."
        )


def _stamp(path: Path) -> tuple[int, int, int]:
    if not path.is_file():
        return ABSENT
    stat = path.stat()
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _execute(path: Path, executed: Path, parameters: dict[str, Any], timeout: int | None) -> None:
    try:
        papermill.execute_notebook(
            str(path),
            str(executed),
            parameters=parameters,
            cwd=str(path.parent),
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            execution_timeout=timeout,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # local kernel: TCP is fine
        )
    except PapermillExecutionError as error:
        if error.ename == "CellTimeoutError":
            raise NotebookFailed(_late(path, timeout)) from None
        raise NotebookFailed(
            f"{path.name} stopped in cell {error.cell_index} with {error.ename}: {error.evalue}. "
            f"The copy with its traceback is {executed}."
        ) from None
    except CellTimeoutError:
        raise NotebookFailed(_late(path, timeout)) from None
    except DeadKernelError:
        raise NotebookFailed(
            f"the kernel of {path.name} died, probably for lack of memory. Close other programs, "
            "or run it with fewer subjects."
        ) from None


def _late(path: Path, timeout: int | None) -> str:
    return f"a cell of {path.name} took longer than {timeout} s. Give a larger --timeout."


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    saved = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
