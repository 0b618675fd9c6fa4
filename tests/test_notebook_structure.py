"""What every notebook must look like; no kernel is started."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from shortcut_nb.runner.contents import (
    BOOTSTRAP,
    KERNEL,
    cell_metadata,
    figure_names,
    source_digest,
)

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PRIVATE = re.compile(
    r"/home/\w+|/Users/\w+|/(?:root|tmp)/|C:\\\\Users|hf_[A-Za-z0-9]{20,}|ghp_[A-Za-z0-9]{20,}|"
    r"sk-[A-Za-z0-9]{20,}"
)
FIGURES = FOLDER.parent / "figures"
MIME = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png"}
MEGABYTE = 1_000_000


def problems(path):
    """Every way in which a notebook breaks the rules, as text."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    complaints = []
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        return [f"format {notebook.nbformat}.{notebook.nbformat_minor}, not 4.5"]
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        complaints.append(f"not valid: {error.message}")
    if notebook.metadata.get("kernelspec") != KERNEL:
        complaints.append("kernel is not python3")
    if extra := set(notebook.metadata) - {"kernelspec", "language_info", "shortcut_nb"}:
        complaints.append(f"other metadata: {sorted(extra)}")
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        complaints.append("does not start with an H1")
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        complaints.append(f"{len(tagged)} parameters cells")
    complaints += [p for c in tagged for p in parameter_problems(c)]
    complaints += [p for i, c in enumerate(notebook.cells) for p in cell_problems(i, c)]
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text(encoding="utf-8"))  # not words
    if private := PRIVATE.search(text):
        complaints.append(f"private: {private.group()[:8]}...")
    if path.stat().st_size > 1.5 * MEGABYTE:
        complaints.append("larger than 1.5 MB")
    own = notebook.metadata.get("shortcut_nb", {})
    if any(c.get("outputs") for c in notebook.cells) and (
        own.get("source_sha256") != source_digest(notebook)
    ):
        complaints.append("outputs come from another source: run it with `shortcut-nb run`")
    return complaints


def parameter_problems(cell):
    for node in ast.parse(cell.source).body:
        if not isinstance(node, ast.AnnAssign):
            yield f"parameters: line {node.lineno} is not an annotated assignment"
            continue
        try:
            ast.literal_eval(node.value)
        except ValueError:
            yield f"parameters: line {node.lineno} is not a literal"


def cell_problems(index, cell):
    where = f"cell {index}"
    if len(cell.source.splitlines()) > 40:
        yield f"{where}: over 40 lines"
    tags = cell.metadata.get("tags", [])
    if cell.metadata != cell_metadata(tags):
        extra = sorted(set(cell.metadata) ^ set(cell_metadata(tags)))
        yield f"{where}: other metadata {extra}"
    if cell.cell_type != "code":
        return
    for output in cell.outputs:
        if unknown := set(output.get("data", {})) - MIME:
            yield f"{where}: output of kind {sorted(unknown)}"
        if output.output_type == "error":
            yield f"{where}: an error is stored"
    lines = cell.source.splitlines()
    if any(re.match(r"\s*[!%]", line) for line in lines) and BOOTSTRAP not in tags:
        yield f"{where}: a shell or magic line outside the bootstrap cell"
    source = "\n".join(re.sub(r"^(\s*)[!%].*", r"\1pass", line) for line in lines)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield f"{where}: does not parse ({error.msg})"
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (
            node.end_lineno - node.lineno >= 8
        ):
            yield f"{where}: {node.name} is over 8 lines"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook(path):
    assert problems(path) == []


def not_shown(notebook, figures):
    """Figures that an executed notebook declares and nowhere displays, by their alt texts."""
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    if not outputs:
        return []  # not executed yet
    seen = {o.get("metadata", {}).get("image/png", {}).get("alt") for o in outputs}
    names = [Path(name) for name in figure_names(notebook)]
    alts = {name.stem: (figures / name).with_suffix(".json") for name in names}
    return [name for name, path in alts.items() if json.loads(path.read_text())["alt"] not in seen]


def test_the_bootstrap_cell_alone_is_folded(tmp_path):
    path = tmp_path / "x.ipynb"
    notebook = good()
    folded = {"source_hidden": True}
    for tags, metadata, allowed in (
        ([BOOTSTRAP], {"jupyter": folded}, True),
        ([BOOTSTRAP], {}, False),
        ([BOOTSTRAP], {"jupyter": folded | {"outputs_hidden": True}}, False),
        ([], {"jupyter": folded}, False),
    ):
        notebook.cells[2].metadata = nbformat.from_dict(metadata | ({"tags": tags} if tags else {}))
        nbformat.write(notebook, path)
        assert any("other metadata" in problem for problem in problems(path)) != allowed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_figure_is_shown(path):
    hidden = not_shown(nbformat.read(path, as_version=4), FIGURES)
    assert hidden == [], "saved in a cell that does not display them: end it with the figure"


def test_a_figure_that_is_saved_in_a_loop_is_caught(tmp_path):
    notebook = good()
    notebook.metadata["shortcut_nb"] = {"figures": ["one", "two"]}
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"alt": f"what {name} shows"}))
    assert not_shown(notebook, tmp_path) == []  # nothing was executed
    shown = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": ""})
    shown["metadata"] = {"image/png": {"alt": "what one shows"}}
    notebook.cells[2].outputs = [shown]
    assert not_shown(notebook, tmp_path) == ["two"]


def good():
    new = nbformat.v4
    parameters = new.new_code_cell('eps: str = "8/255"  # budget')
    parameters.metadata["tags"] = ["parameters"]
    cells = [new.new_markdown_cell("# A claim"), parameters, new.new_code_cell("x = 1")]
    notebook = new.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = KERNEL
    return notebook


def spoil(notebook, how):
    code = notebook.cells[2]
    if how == "H1":
        notebook.cells[0].source = "no title"
    elif how == "0 parameters cells":
        notebook.cells[1].metadata = {}
    elif how == "not a literal":
        notebook.cells[1].source = "eps: float = 8 / x"
    elif how == "not an annotated":
        notebook.cells[1].source = "import os"
    elif how == "over 40 lines":
        code.source = "x = 1\n" * 41
    elif how == "f is over 8 lines":
        code.source = "def f():\n" + "    x = 1\n" * 8
    elif how == "does not parse":
        code.source = "x ="
    elif how == "private":
        code.source = "x = '/home/someone/x'"
    elif how == "shell":
        code.source = "!ls"
    elif how == "other metadata":
        code.metadata["papermill"] = {}
    elif how == "kernel":
        notebook.metadata["kernelspec"] = {"name": "julia"}
    elif how == "another source":
        code.outputs = [nbformat.v4.new_output("stream", text="x")]
    elif how == "output of kind":
        code.outputs = [nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg/>"})]
    elif how == "not 4.5":
        notebook.nbformat_minor = 4
        for cell in notebook.cells:
            del cell["id"]


@pytest.mark.parametrize(
    "how",
    [
        "H1",
        "0 parameters cells",
        "not a literal",
        "not an annotated",
        "over 40 lines",
        "f is over 8 lines",
        "does not parse",
        "private",
        "shell",
        "other metadata",
        "kernel",
        "another source",
        "output of kind",
        "not 4.5",
    ],
)
def test_the_rules_catch_what_they_should(tmp_path, how):
    path = tmp_path / "x.ipynb"
    notebook = good()
    nbformat.write(notebook, path)
    assert problems(path) == []
    spoil(notebook, how)
    path.write_text(nbformat.writes(notebook, version=nbformat.NO_CONVERT))
    assert any(how in problem for problem in problems(path)), problems(path)
