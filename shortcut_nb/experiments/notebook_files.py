"""Where notebooks and their figures are, and what of a run is kept in the notebook.

Metadata is cleaned by allow-list: what is not named here goes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from shortcut_nb.weights import PACKAGE

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_OUTPUT_KINDS = ("text/plain", "text/html", "text/markdown", "text/latex", "image/png")


def notebooks_dir(start: Path | None = None) -> Path:
    """The notebooks folder: from `start` (default: here) upward, else the repository's own.

    Raises:
        FileNotFoundError: when there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, PACKAGE.parent):
        candidate = folder if folder.name == "notebooks" else folder / "notebooks"
        if candidate.is_dir() and any(candidate.glob("*.ipynb")):
            return candidate
    raise FileNotFoundError(
        f"expected a folder 'notebooks' at or above {here}; found none. "
        "Change to the repository, or give the path of a notebook."
    )


def all_notebooks() -> list[Path]:
    """Every notebook of the notebooks folder, in order of name."""
    return sorted(notebooks_dir().glob("*.ipynb"))


def find_notebook(name_or_path: str | Path) -> Path:
    """The notebook with this path, name, or unique start of a name.

    Raises:
        FileNotFoundError: when none fits; lists what there is.
        ValueError: when several fit.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix == ".ipynb" and path.is_file():
        return path.resolve()
    stem = path.name.removesuffix(".ipynb")
    every = all_notebooks()
    found = [p for p in every if p.stem == stem] or [p for p in every if p.stem.startswith(stem)]
    if not found:
        raise FileNotFoundError(
            f"there is no notebook {str(name_or_path)!r}; there are: "
            f"{', '.join(p.stem for p in every)}."
        )
    if len(found) > 1:
        raise ValueError(
            f"{str(name_or_path)!r} fits several notebooks: {', '.join(p.stem for p in found)}. "
            "Write more of the name."
        )
    return found[0]


def figures_dir(notebook: Path) -> Path:
    """Where the figures of a notebook go: the folder `figures` beside the notebooks folder."""
    return notebook.resolve().parent.parent / "figures"


def figure_files(notebook: Path) -> list[Path]:
    """The figure files that a notebook declares in its metadata (shortcut_nb.figures).

    An id without a suffix means a PNG.
    """
    content = nbformat.read(notebook, as_version=4)
    names = content.metadata.get("shortcut_nb", {}).get("figures", [])
    home = figures_dir(notebook)
    return [home / (name if Path(name).suffix else f"{name}.png") for name in names]


def source_digest(notebook: NotebookNode) -> str:
    """The SHA-256 of the code cells: tells outputs of this code from those of older code."""
    text = "\0".join(c.source.strip() for c in notebook.cells if c.cell_type == "code")
    return hashlib.sha256(text.encode()).hexdigest()


def publish(source: Path, executed: Path) -> NotebookNode:
    """The source notebook with the outputs of its executed copy, cleaned.

    Kept: kernel, language name, `shortcut_nb`, cell ids and tags, rich outputs, printed text.
    Dropped: timings, counts, standard error, widgets, and every other metadata. The digest of
    the sources is noted in `shortcut_nb.source_sha256`.
    """
    notebook = nbformat.read(source, as_version=4)
    ran = {cell.id: cell for cell in nbformat.read(executed, as_version=4).cells}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [o for o in map(_clean_output, ran[cell.id].outputs) if o is not None]
    own = dict(notebook.metadata.get("shortcut_nb", {}))
    own["source_sha256"] = source_digest(notebook)
    notebook.metadata = NotebookNode(
        kernelspec=KERNEL, language_info={"name": "python"}, shortcut_nb=own
    )
    return notebook


def _clean_output(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream":
        return output if output.name == "stdout" else None
    if output.output_type == "error":
        return output
    data = {kind: value for kind, value in output.data.items() if kind in _OUTPUT_KINDS}
    if not data or "application/vnd.jupyter.widget-view+json" in output.data:
        return None
    alt = output.metadata.get("image/png", {}).get("alt")
    output.data = NotebookNode(data)
    output.metadata = NotebookNode({"image/png": {"alt": alt}} if alt else {})
    if output.output_type == "execute_result":
        output.execution_count = None
    return output


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Validate and write a notebook atomically.

    Raises:
        nbformat.ValidationError: when it is not a valid notebook.
    """
    nbformat.validate(notebook)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            nbformat.write(notebook, stream)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
