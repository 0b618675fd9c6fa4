"""Where notebooks are, and where a run of one goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import AlreadyThere, MissingFile, UserError
from ..files import expand
from ..files.outputs import Output, check_output
from ..store import Store
from ..store.side_files import RUNS
from ..weights import PACKAGE

RECORD = "run.json"
FIRST = "00_quickstart.ipynb"


def notebook_folders() -> list[Path]:
    """Folders called ``notebooks`` that hold some: at or above here, the repository's, the wheel's.

    The first that holds this project's notebooks is the one that ``run all`` means.
    """
    here = Path.cwd()
    near = [f if f.name == "notebooks" else f / "notebooks" for f in (here, *here.parents)]
    folders = []
    for folder in (*near, PACKAGE.parent / "notebooks", PACKAGE / "notebooks"):
        if folder not in folders and any(folder.glob("*.ipynb")):
            folders.append(folder)
    return folders


def all_notebooks() -> list[Path]:
    """Every notebook of this project, in order of name.

    Raises:
        MissingFile: when there is none.
    """
    for folder in notebook_folders():
        if (folder / FIRST).is_file():
            return sorted(folder.glob("*.ipynb"))
    raise MissingFile(
        "the notebooks are neither here nor in the installed package: install shortcut-nb again, "
        "or clone the repository and change to it; or give the path of a notebook."
    )


def find_notebook(name_or_path: str | Path) -> Path:
    """The notebook with this path, name, or unique start of a name.

    Raises:
        MissingFile: when none fits; lists what there is.
        UserError: when several fit.
    """
    path = expand(name_or_path, "the notebook")
    if path.suffix == ".ipynb" and path.is_file():
        return path.resolve()
    stem = path.name.removesuffix(".ipynb")
    every = [p for folder in notebook_folders() for p in sorted(folder.glob("*.ipynb"))]
    matches = [p for p in every if p.stem == stem][:1]
    matches = matches or [p for p in every if p.stem.startswith(stem)]
    if not matches or (len(path.parts) > 1 and path.suffix == ".ipynb"):
        have = ", ".join(dict.fromkeys(p.stem for p in every)) or "none"
        raise MissingFile(f"there is no notebook {str(name_or_path)!r}; there are: {have}.")
    if len({p.stem for p in matches}) > 1:
        raise UserError(
            f"{str(name_or_path)!r} fits several notebooks: {', '.join(p.stem for p in matches)}. "
            "Write more of the name."
        )
    return matches[0]


def is_ours(notebook: Path) -> bool:
    """Whether a notebook is one of this project's: in a clone of it, or in the package."""
    folder = notebook.resolve().parent
    return folder.name == "notebooks" and (
        folder.parent == PACKAGE or (folder.parent / "shortcut_nb" / "__init__.py").is_file()
    )


def run_name(notebook: Path, parameters: Mapping[str, Any]) -> str:
    """What a run's folder is called: the notebook's name, and a digest of the parameters if any."""
    if not parameters:
        return notebook.stem
    text = json.dumps(dict(parameters), sort_keys=True, default=str)
    return f"{notebook.stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run_output(
    notebook: Path,
    parameters: Mapping[str, Any],
    out: str | Path | None = None,
    force: bool = False,
) -> Output:
    """Where a run goes, checked: one folder for each notebook and set of parameters.

    Runs of this project's notebooks go below the store, where no version control sees them; runs
    of other notebooks go beside the notebook. An earlier run of the same is replaced.

    Args:
        out: another folder; it must be empty, or ``force`` given.

    Raises:
        AlreadyThere, CannotWrite: see :func:`shortcut_nb.files.outputs.check_output`.
    """
    if out is not None:
        place = expand(out, "--out").absolute()  # the kernel works in another folder
        return check_output(place, RECORD, names=[notebook.name], force=force)
    name = run_name(notebook, parameters)
    beside = Store().root / RUNS if is_ours(notebook) else notebook.parent
    folder = beside / (name if is_ours(notebook) else f"{name}-run")
    foreign = folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).is_file()
    if foreign and not force:
        raise AlreadyThere(
            f"{folder} holds files that no run wrote. Name another with out=FOLDER, or give "
            "force=True."
        )
    return check_output(folder.absolute(), RECORD, names=[notebook.name], force=True)
