"""What is in a notebook, and what of a run is kept in it.

Metadata is cleaned by allow-list: what is not named here goes.
"""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..errors import CannotRead, UserError
from ..files import writing

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
BOOTSTRAP = "bootstrap"
"""The tag of the cell that installs the package in Colab: folded in Jupyter, not on the site."""
_OUTPUT_KINDS = ("text/plain", "text/html", "text/markdown", "text/latex", "image/png")


def read_notebook(path: Path) -> NotebookNode:
    """A notebook in the current format, with cell ids and a kernel, which older ones may lack.

    Raises:
        CannotRead: when the file cannot be opened.
        UserError: when it is no notebook, or not one in Python.
    """
    try:
        # from_dict: an upgrade of format 3 leaves nodes of another class
        notebook = nbformat.from_dict(nbformat.v4.upgrade(nbformat.read(path, as_version=4)))
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}.") from None
    except Exception as error:  # nbformat's readers raise many kinds
        raise UserError(
            f"{path} is not a notebook that can be read ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'empty'}). Save it again in Jupyter."
        ) from None
    kernel = notebook.metadata.get("kernelspec", {})
    language = notebook.metadata.get("language_info", {}).get("name", kernel.get("language"))
    if (language or "python").lower() not in ("python", "ipython"):
        raise UserError(f"{path.name} is written in {language}; only Python notebooks are run.")
    notebook.metadata["kernelspec"] = dict(KERNEL)
    return notebook


def figure_names(notebook: NotebookNode) -> list[str]:
    """The figure files that a notebook declares in its metadata (shortcut_nb.figures).

    An id without a suffix means a PNG.
    """
    names = notebook.metadata.get("shortcut_nb", {}).get("figures", [])
    return [name if Path(name).suffix else f"{name}.png" for name in names]


def source_digest(notebook: NotebookNode) -> str:
    """The SHA-256 of the code cells: tells outputs of this code from those of older code."""
    text = "\0".join(c.source.strip() for c in notebook.cells if c.cell_type == "code")
    return hashlib.sha256(text.encode()).hexdigest()


def cell_metadata(tags: list[str]) -> NotebookNode:
    """All metadata of a cell with these tags; the source of the bootstrap cell is folded."""
    metadata = NotebookNode({"tags": tags} if tags else {})
    if BOOTSTRAP in tags:
        metadata["jupyter"] = NotebookNode({"source_hidden": True})
    return metadata


def publish(source: NotebookNode, executed: Path) -> NotebookNode:
    """A copy of the source notebook with the outputs of its executed copy, cleaned.

    Kept: kernel, language name, `shortcut_nb`, cell ids and tags, rich outputs, printed text.
    Dropped: timings, counts, standard error, widgets, and every other metadata. The digest of
    the sources is noted in `shortcut_nb.source_sha256`.
    """
    notebook = copy.deepcopy(source)
    ran = {cell.id: cell for cell in nbformat.read(executed, as_version=4).cells}
    for cell in notebook.cells:
        cell.metadata = cell_metadata(cell.metadata.get("tags", []))
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
    with writing(path) as fresh, fresh.open("w", encoding="utf-8") as stream:
        nbformat.write(notebook, stream)
