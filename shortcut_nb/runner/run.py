"""A thin runner over papermill that fails when something should have happened and did not.

papermill alone succeeds on a misspelt parameter and on a run that draws nothing. This runner
checks names before and declared figures after, and writes a run whole or not at all.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from ..environment import CACHE, FIGURES, HEADLESS, RESULTS
from ..errors import UserError
from ..files import expand, remove, write_json, writing
from ..files.outputs import Output, check_file
from ..store import Store
from ..store.side_files import STOPPED
from . import engine
from .contents import figure_names, publish, read_notebook, source_digest, write_notebook
from .kernel import LocalKernel, ending, interruptible
from .parameters import check_parameters, resolve_paths
from .places import RECORD, find_notebook, is_ours, run_output

log = logging.getLogger("shortcut_nb")


class NotebookFailed(RuntimeError):
    """A notebook stopped, or ended without what it declares; the message names the cell."""


@dataclass(frozen=True)
class NotebookRun:
    """What a run left.

    Attributes:
        copy: the executed copy.
        figures: the declared figures, in the folder ``figures`` beside it.
    """

    notebook: Path
    copy: Path
    figures: tuple[Path, ...]


def run_notebook(
    name_or_path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    timeout: int | None = None,
    in_place: bool = False,
    out: str | Path | None = None,
    force: bool = False,
) -> NotebookRun:
    """Run a notebook from top to bottom and check that it did what it declares.

    Args:
        name_or_path: "00_quickstart", a unique start of a name ("00"), or a path.
        parameters: values for names of the cell tagged `parameters`; budgets as "8/255". Paths in
            them are meant from the current folder.
        timeout: seconds that one cell may take; None for no limit.
        in_place: also keep the cleaned outputs in the notebook itself and, for a notebook of this
            project, its figures in the folder ``figures``; only without parameters.
        out, force: see :func:`shortcut_nb.runner.places.run_output`.

    Raises:
        MissingFile: no such notebook.
        UserError: no notebook, an unknown parameter, a value of another type, or a place that
            cannot be written.
        NotebookFailed: a cell raised, the kernel died, or declared figures are missing.
        KeyboardInterrupt: after what was done is written; see :func:`stopped_copy`.
    """
    path = find_notebook(name_or_path)
    notebook = read_notebook(path)
    given = dict(parameters or {})
    defaults = check_parameters(notebook, path.name, given)
    given = resolve_paths(given, defaults, Path.cwd())
    output = run_output(path, given, out, force)
    if in_place:
        _check_in_place(path, given)
    log.info("running %s", path.name)
    with output.filling() as folder:
        copy, figures = folder / path.name, folder / "figures"
        figures.mkdir()
        try:
            with _environment(_surroundings(figures)):
                _execute(notebook, path, copy, given, timeout)
            _check_figures(notebook, figures)
        except BaseException as error:
            kept = _keep_stopped(output, copy)
            if isinstance(error, NotebookFailed) and kept is not None:
                raise NotebookFailed(f"{error} What was done is in {kept}.") from None
            if isinstance(error, KeyboardInterrupt) and kept is not None:
                raise KeyboardInterrupt(f"what was done is in {kept}") from None
            raise
        _record(folder, path, notebook, given)
        if in_place:
            _publish(notebook, path, copy, figures)
    remove(stopped_copy(output, path))
    places = [output.folder / "figures" / name for name in figure_names(notebook)]
    return NotebookRun(path, output.folder / path.name, tuple(places))


def stopped_copy(output: Output, notebook: Path) -> Path:
    """Where the copy of a run that failed or was interrupted is kept."""
    return output.folder / f"{notebook.stem}{STOPPED}"


def _keep_stopped(output: Output, copy: Path) -> Path | None:
    """Keep what a failed run has done beside an earlier whole run, and leave that alone."""
    if not copy.is_file():
        return None
    place = stopped_copy(output, copy)
    with writing(place) as fresh:
        shutil.copyfile(copy, fresh)
    if not (output.folder / RECORD).exists():
        about = {"notebook": copy.name, "files": [place.name], "unfinished": True}
        write_json(output.folder / RECORD, about)
    return place


def _record(
    folder: Path, path: Path, notebook: NotebookNode, parameters: Mapping[str, Any]
) -> None:
    about = {
        "notebook": str(path),
        "parameters": dict(parameters),
        "source_sha256": source_digest(notebook),
        "files": [path.name, "figures"],
    }
    write_json(folder / RECORD, about)


def _check_in_place(path: Path, parameters: Mapping[str, Any]) -> None:
    if parameters:
        raise UserError(
            "only a run with the notebook's own parameters is kept in it: leave out the "
            "parameters, or in_place=True."
        )
    check_file(path, force=True, what="the notebook")
    if is_ours(path):
        check_file(path.parent.parent / "figures" / "x.png", force=True, what="the figures")


def _publish(notebook: NotebookNode, path: Path, copy: Path, figures: Path) -> None:
    """Keep the outputs in the notebook, and a project notebook's figures in the project."""
    if is_ours(path):
        for figure in sorted(figures.iterdir()):
            with writing(path.parent.parent / "figures" / figure.name) as fresh:
                shutil.copyfile(figure, fresh)
    write_notebook(publish(notebook, copy), path)


def _check_figures(notebook: NotebookNode, figures: Path) -> None:
    """Make sure that each declared figure was drawn.

    Raises:
        NotebookFailed: listing what is missing or empty.
    """
    places = [figures / name for name in figure_names(notebook)]
    missing = [p.name for p in places if not p.is_file() or p.stat().st_size == 0]
    if missing:
        raise NotebookFailed(
            "the notebook ran, but declares figures that it did not make: missing or empty are "
            f"{', '.join(missing)}. Draw them with save_figure, or correct its metadata "
            "shortcut_nb.figures."
        )


def _execute(
    notebook: NotebookNode, path: Path, copy: Path, parameters: dict[str, Any], timeout: int | None
) -> None:
    def work() -> None:
        papermill.execute_notebook(
            notebook,
            str(copy),
            parameters=parameters,
            cwd=str(path.parent),
            engine_name=engine.NAME,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=False,
            execution_timeout=timeout,
            kernel_manager_class=LocalKernel,
            # A local kernel: TCP is fine; and its end begins with an interruption, an ERROR to it.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )

    with _quiet():
        try:
            interruptible(work)
        except PapermillExecutionError as error:
            if error.ename == "CellTimeoutError":
                raise NotebookFailed(_late(path, timeout)) from None
            what = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
            raise NotebookFailed(
                f"{path.name} stopped in cell {error.cell_index} with {_sentence(what)}"
            ) from None
        except CellTimeoutError:
            raise NotebookFailed(_late(path, timeout)) from None
        except (DeadKernelError, RuntimeError) as error:
            status = LocalKernel.latest.status if LocalKernel.latest else None
            if not isinstance(error, DeadKernelError) and status is None:
                raise
            raise NotebookFailed(f"the kernel of {path.name} {ending(status)}.") from None


def _sentence(words: str) -> str:
    """A sentence with its full stop, if it has none yet."""
    text = words.rstrip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _late(path: Path, timeout: int | None) -> str:
    return f"a cell of {path.name} took longer than {timeout} s. Give it a larger timeout."


def _surroundings(figures: Path) -> dict[str, str]:
    """What the kernel, which works in another folder, is told by environment variables."""
    values = {HEADLESS: "1", FIGURES: str(figures)}
    if os.environ.get(CACHE):
        values[CACHE] = str(Store().root.absolute())
    if results := os.environ.get(RESULTS):
        values[RESULTS] = str(expand(results, f"${RESULTS}").absolute())
    return values


@contextmanager
def _quiet() -> Iterator[None]:
    """Without papermill's and nbclient's own log of errors: the runner says them in one line."""
    loggers = [logging.getLogger(name) for name in ("papermill", "traitlets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


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
