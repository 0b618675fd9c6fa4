"""The notebook runner: green only when something happened."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from shortcut_nb.experiments.notebook_files import find_notebook, source_digest
from shortcut_nb.experiments.notebooks import NotebookFailed, check_parameters, run_notebook

DRAW = """
from pathlib import Path
import os
Path("../figures").mkdir(exist_ok=True)
Path("../figures/dot.png").write_bytes(b"png")
print(eps, steps, os.environ["SHORTCUT_NB_HEADLESS"], Path.cwd().name)
"""


@pytest.fixture
def make(tmp_path):
    def write(code=DRAW, figures=("dot",), tag="parameters", name="00_tiny"):
        folder = tmp_path / "notebooks"
        folder.mkdir(exist_ok=True)
        parameters = new_code_cell('eps: str = "8/255"  # budget\nsteps: int = 3  # steps')
        parameters.metadata["tags"] = [tag] if tag else []
        cells = [new_markdown_cell("# Tiny"), parameters, new_code_cell(code)]
        notebook = new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "x"}
        notebook.metadata["language_info"] = {"name": "python", "version": "3.0"}
        notebook.metadata["shortcut_nb"] = {"figures": list(figures)}
        path = folder / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write


def test_a_tiny_notebook_runs_and_keeps_clean_outputs(make, tmp_path):
    path = make(DRAW + "import sys; print('noise', file=sys.stderr)\n{'answer': 42}")
    executed = run_notebook(path)
    assert executed == tmp_path / "build" / "executed" / path.name
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    outputs = notebook.cells[2].outputs
    assert outputs[0].text == "8/255 3 1 notebooks\n" and len(outputs) == 2
    assert outputs[1].data == {"text/plain": "{'answer': 42}"}
    assert len(notebook.cells) == 3
    assert set(notebook.metadata) == {"kernelspec", "language_info", "shortcut_nb"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.metadata.shortcut_nb.source_sha256 == source_digest(notebook)
    assert notebook.cells[1].metadata == {"tags": ["parameters"]}
    assert all(c.metadata == {} for c in (notebook.cells[0], notebook.cells[2]))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_parameters_reach_the_notebook_and_are_not_kept_in_place(make):
    path = make()
    before = path.read_bytes()
    executed = nbformat.read(run_notebook(path, {"eps": "4/255", "steps": 9}), as_version=4)
    assert executed.cells[-1].outputs[0].text.startswith("4/255 9 ")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epz": "4/255"}, "no parameter epz.*It has: eps, steps"),
        ({"eps": 0.03}, "parameter eps .* is str"),
        ({"steps": "many"}, "parameter steps .* is int"),
        ({"steps": True}, "parameter steps .* is int"),
    ],
)
def test_wrong_parameters_fail_before_anything_runs(make, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        run_notebook(make(), given)
    assert not (tmp_path / "build").exists()


def test_a_missing_tag_fails(make):
    path = make(tag=None)
    with pytest.raises(ValueError, match="exactly one cell tagged 'parameters'"):
        run_notebook(path)
    check_parameters(make(), {"steps": 4})


def test_a_cell_that_raises_is_named_and_the_notebook_stays(make):
    path = make("raise ArithmeticError('the claim does not hold')")
    before = path.read_bytes()
    with pytest.raises(NotebookFailed, match="ArithmeticError: the claim does not hold"):
        run_notebook(path)
    assert path.read_bytes() == before


def test_declared_figures_must_be_drawn_by_this_run(make, tmp_path):
    path = make("pass", figures=("dot", "table.csv"))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "dot.png").write_bytes(b"old")
    before = path.read_bytes()
    with pytest.raises(NotebookFailed, match=r"missing or empty: table.csv; not drawn.*: dot.png"):
        run_notebook(path)
    assert path.read_bytes() == before


def test_a_slow_cell_is_stopped(make):
    with pytest.raises(NotebookFailed, match="longer than 1 s"):
        run_notebook(make("import time; time.sleep(30)"), timeout=1)


def test_a_dead_kernel_is_explained(make):
    with pytest.raises(NotebookFailed, match="memory"):
        run_notebook(make("import os; os._exit(9)"))


def test_notebooks_are_found_by_name_from_below(make, tmp_path, monkeypatch):
    first, second = make(), make(name="01_tiny")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert find_notebook("00") == first and find_notebook("01_tiny.ipynb") == second
    with pytest.raises(ValueError, match="several notebooks: 00_tiny, 01_tiny"):
        find_notebook("0")
    with pytest.raises(FileNotFoundError, match="there are: 00_tiny, 01_tiny"):
        find_notebook("07")
