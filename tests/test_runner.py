"""The notebook runner: green only when something happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from shortcut_nb.cli.run import each_its_own
from shortcut_nb.errors import UserError
from shortcut_nb.runner import NotebookFailed, all_notebooks, find_notebook, run_notebook
from shortcut_nb.runner.contents import publish, read_notebook, source_digest
from shortcut_nb.runner.parameters import check_parameters, resolve_paths

DRAW = """
from pathlib import Path
import os
(Path(os.environ["SHORTCUT_NB_FIGURES"]) / "dot.png").write_bytes(b"png")
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


def listing(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_a_run_goes_beside_the_notebook_and_leaves_it_alone(make, tmp_path):
    path = make()
    before = path.read_bytes()
    ran = run_notebook(path)
    folder = path.parent / "00_tiny-run"
    assert ran.copy == folder / path.name and ran.figures == (folder / "figures" / "dot.png",)
    assert nbformat.read(ran.copy, as_version=4).cells[2].outputs[0].text.startswith("8/255 3 1 ")
    assert ran.figures[0].read_bytes() == b"png" and path.read_bytes() == before
    assert listing(folder) == [path.name, "figures", "run.json"]
    assert listing(path.parent) == ["00_tiny-run", path.name] and listing(tmp_path) == ["notebooks"]


def test_in_place_keeps_clean_outputs(make, tmp_path):
    path = make(DRAW + "import sys; print('noise', file=sys.stderr)\n{'answer': 42}")
    run_notebook(path, in_place=True)
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
    with pytest.raises(ValueError, match="leave out the parameters"):
        run_notebook(path, {"steps": 4}, in_place=True)


def test_the_cell_for_colab_is_published_folded(make):
    path = make(tag="bootstrap")
    source = nbformat.read(path, as_version=4)
    source.cells[2].metadata = {"jupyter": {"source_hidden": True}, "scrolled": True}
    first, bootstrap, other = publish(source, path).cells
    assert bootstrap.metadata == {"tags": ["bootstrap"], "jupyter": {"source_hidden": True}}
    assert first.metadata == other.metadata == {}


def test_a_project_notebook_is_run_below_the_store_and_published_on_demand(
    make, tmp_path, monkeypatch
):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", "results")  # from here, and not from the notebook
    path = make(
        DRAW + "assert Path(os.environ['SHORTCUT_NB_RESULTS']) == Path('../results').resolve()"
    )
    (tmp_path / "shortcut_nb").mkdir()
    (tmp_path / "shortcut_nb" / "__init__.py").write_text("")
    ran = run_notebook(path, {"steps": 4})
    assert ran.copy.parent.parent == tmp_path / "store" / "runs"
    assert listing(path.parent) == [path.name] and not (tmp_path / "figures").exists()
    before = path.read_bytes()
    run_notebook(path, in_place=True)
    assert path.read_bytes() != before
    assert (tmp_path / "figures" / "dot.png").read_bytes() == b"png"
    assert listing(path.parent) == [path.name]


def test_parameters_reach_the_notebook_and_have_a_folder_of_their_own(make):
    path = make()
    runs = [run_notebook(path, given) for given in ({"eps": "4/255", "steps": 9}, {"steps": 2}, {})]
    texts = [nbformat.read(ran.copy, as_version=4).cells[-1].outputs[0].text for ran in runs]
    assert [text.split(" 1 ")[0] for text in texts] == ["4/255 9", "8/255 2", "8/255 3"]
    assert len({ran.copy.parent for ran in runs}) == 3


@pytest.mark.slow
def test_two_runs_at_once_do_not_collide(make):
    """The same notebook with the same and with other parameters, from several processes."""
    path = make("import time; time.sleep(1)\n" + DRAW)
    code = (
        "import sys; from shortcut_nb.runner import run_notebook; "
        f"print(run_notebook({str(path)!r}, {{'steps': int(sys.argv[1])}}).copy)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, steps], stdout=subprocess.PIPE, text=True)
        for steps in ("4", "4", "5")
    ]
    copies = [process.communicate()[0].strip() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert copies[0] == copies[1] != copies[2]
    for copy, steps in zip(copies, ("4", "4", "5"), strict=True):
        text = nbformat.read(copy, as_version=4).cells[-1].outputs[0].text
        assert text.startswith(f"8/255 {steps} ")
        assert (Path(copy).parent / "figures" / "dot.png").read_bytes() == b"png"


def test_a_folder_of_ones_own_is_not_overwritten(make, tmp_path):
    path = make()
    (path.parent / "00_tiny-run").mkdir()
    (path.parent / "00_tiny-run" / "own.txt").write_text("own")
    with pytest.raises(FileExistsError, match="holds files that no run wrote"):
        run_notebook(path)
    with pytest.raises(FileExistsError, match="holds files already"):
        run_notebook(path, out=path.parent)
    assert run_notebook(path, out=tmp_path / "out").copy == tmp_path / "out" / path.name
    run_notebook(path, force=True)
    assert listing(path.parent / "00_tiny-run") == [path.name, "figures", "own.txt", "run.json"]


def test_a_failed_run_leaves_an_earlier_one_whole(make):
    path = make("import os\nassert not os.environ.get('FAIL')\n" + DRAW)
    ran = run_notebook(path)
    before = ran.copy.read_bytes()
    os.environ["FAIL"] = "1"
    try:
        with pytest.raises(NotebookFailed, match="stopped in cell 2 .*00_tiny.stopped.ipynb"):
            run_notebook(path)
    finally:
        del os.environ["FAIL"]
    assert ran.copy.read_bytes() == before
    stopped = nbformat.read(ran.copy.with_name("00_tiny.stopped.ipynb"), as_version=4)
    assert any(o.output_type == "error" for c in stopped.cells for o in c.get("outputs", []))
    run_notebook(path)
    assert listing(ran.copy.parent) == [path.name, "figures", "run.json"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise ValueError('this is wrong. Name another.')",
         "with ValueError: this is wrong. Name another. What was done"),
        ("raise ValueError('no full stop')", "with ValueError: no full stop. What was done"),
        ("assert eps is None", "with AssertionError. What was done"),
    ],
)  # fmt: skip
def test_why_it_stopped_is_a_sentence_and_nobody_interrupted(make, capfd, code, says):
    with pytest.raises(NotebookFailed) as caught:
        run_notebook(make(code))
    assert says in str(caught.value) and "KeyboardInterrupt" not in capfd.readouterr().err


def test_a_folder_that_a_stopped_run_alone_wrote_is_taken_again(make, tmp_path, monkeypatch):
    path, out = make("import os\nassert not os.environ.get('FAIL')\n" + DRAW), tmp_path / "out"
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(NotebookFailed):
        run_notebook(path, out=out)
    assert listing(out) == ["00_tiny.stopped.ipynb", "run.json"]
    monkeypatch.delenv("FAIL")
    run_notebook(path, out=out)
    assert listing(out) == [path.name, "figures", "run.json"]


def test_older_notebooks_without_kernel_or_cell_ids_are_run(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("print(6 * 7)")])
    notebook.nbformat_minor = 2
    for cell in notebook.cells:
        del cell["id"]
    path = tmp_path / "old.ipynb"
    nbformat.write(notebook, path)
    assert "kernelspec" not in nbformat.read(path, as_version=4).metadata
    ran = run_notebook(path, in_place=True)
    assert nbformat.read(ran.copy, as_version=4).cells[0].outputs[0].text == "42\n"
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "42\n"


def test_a_notebook_of_format_3_is_read_as_one_of_today(tmp_path):
    cell = {"cell_type": "code", "input": ["print(1)"], "language": "python", "outputs": []}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
           "worksheets": [{"cells": [cell], "metadata": {}}]}  # fmt: skip
    (tmp_path / "old.ipynb").write_text(json.dumps(old))
    notebook = read_notebook(tmp_path / "old.ipynb")
    assert type(notebook) is nbformat.NotebookNode and type(notebook.cells[0]) is type(notebook)
    assert notebook.cells[0].source == "print(1)"
    nbformat.validate(notebook)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not a notebook"),
        ("{}", "not a notebook"),
        ("<html>", "not a notebook"),
        ("[]", "not a notebook"),
        ('{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "not a notebook"),
        (
            '{"cells": [], "nbformat": 4, "nbformat_minor": 5, '
            '"metadata": {"language_info": {"name": "R"}}}',
            "written in R",
        ),
    ],
)
def test_files_that_are_no_notebooks_are_refused(tmp_path, content, words):
    (tmp_path / "x.ipynb").write_text(content)
    with pytest.raises(ValueError, match=words):
        run_notebook(tmp_path / "x.ipynb")
    assert listing(tmp_path) == ["x.ipynb"]


def test_a_foreign_jupyter_path_does_not_matter(make, tmp_path, monkeypatch):
    """A kernel specification of another Python, which does not start."""
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "x"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert run_notebook(make()).copy.is_file()


def test_paths_are_meant_from_the_callers_folder(tmp_path, monkeypatch):
    (tmp_path / "photos" / "anna").mkdir(parents=True)
    (tmp_path / "aspl").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    defaults = {
        "subject_name": "mini:held-out/3",
        "attack": "aspl",
        "eps": "8/255",
        "many": ["a/b"],
    }
    given = {
        "subject_name": "photos", "attack": "aspl", "eps": "8/255", "many": ["photos", "nowhere"],
        "other": "photos/anna", "home": "~/photos",
    }  # fmt: skip
    photos = str(tmp_path / "photos")
    assert resolve_paths(given, defaults, tmp_path) == given | {
        "subject_name": photos, "many": [photos, "nowhere"], "other": f"{photos}/anna",
        "home": photos,
    }  # fmt: skip
    assert resolve_paths({"subject_name": "mini:held-out/0"}, defaults, tmp_path) == {
        "subject_name": "mini:held-out/0"
    }


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
    assert listing(tmp_path / "notebooks") == ["00_tiny.ipynb"]


def test_parameters_want_their_tag(make):
    with pytest.raises(ValueError, match="has no parameter steps.*Tag the cell"):
        run_notebook(make(tag=None), {"steps": 4})
    notebook = read_notebook(make())
    assert check_parameters(notebook, "x", {"steps": 4}) == {"eps": "8/255", "steps": 3}
    notebook.cells.append(notebook.cells[1])
    with pytest.raises(ValueError, match="exactly one cell tagged 'parameters'; found 2"):
        check_parameters(notebook, "x", {})


def test_a_cell_that_raises_is_named_and_the_notebook_stays(make):
    path = make("raise ArithmeticError('the claim does not hold')")
    before = path.read_bytes()
    with pytest.raises(NotebookFailed, match="ArithmeticError: the claim does not hold"):
        run_notebook(path)
    assert path.read_bytes() == before


def test_declared_figures_must_be_drawn_by_this_run(make):
    path = make("pass", figures=("dot", "table.csv"))
    before = path.read_bytes()
    with pytest.raises(NotebookFailed, match="missing or empty are dot.png, table.csv"):
        run_notebook(path, in_place=True)
    assert path.read_bytes() == before


def test_a_slow_cell_is_stopped(make):
    with pytest.raises(NotebookFailed, match="longer than 1 s"):
        run_notebook(make("import time; time.sleep(30)"), timeout=1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(9)", "ended by itself with exit code 9"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed .* memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "segmentation fault"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "signal 15|exit code"),
    ],
)
def test_a_dead_kernel_is_explained_by_how_it_ended(make, code, words):
    with pytest.raises(NotebookFailed, match=words) as found:
        run_notebook(make(code))
    assert ("memory" in str(found.value)) == ("memory" in words)


@pytest.mark.slow
def test_ctrl_c_is_one_line_and_keeps_what_is_done(make):
    """As in a terminal: the whole group of processes is interrupted."""
    path = make("print('working', flush=True)\nimport time; time.sleep(60)")
    command = [sys.executable, "-m", "shortcut_nb", "run", str(path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    temporary = ".shortcut-nb-*/00_tiny.ipynb"
    for _ in range(600):
        copies = list(path.parent.glob(temporary))
        if copies and '"status": "completed"' in copies[0].read_text():
            break
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    lines = [line for line in err.splitlines() if line.strip()]
    stopped = path.parent / "00_tiny-run" / "00_tiny.stopped.ipynb"
    assert lines[0] == "running 00_tiny.ipynb" and lines[1:] == [
        f"interrupted: what was done is in {stopped}"
    ]
    assert nbformat.read(stopped, as_version=4).cells[1].execution_count == 1
    assert listing(path.parent) == ["00_tiny-run", "00_tiny.ipynb"]
    assert not list(path.parent.glob(".shortcut-nb*"))


def test_notebooks_are_found_by_name_from_below(make, tmp_path, monkeypatch):
    first, second = make(), make(name="01_tiny")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert find_notebook("00_tiny") == first and find_notebook("01_tiny.ipynb") == second
    with pytest.raises(ValueError, match="several notebooks: .*00_tiny, 01_tiny"):
        find_notebook("0")
    with pytest.raises(FileNotFoundError, match="there are: 00_tiny, 01_tiny"):
        find_notebook("77")
    with pytest.raises(FileNotFoundError, match="no notebook"):
        find_notebook(tmp_path / "nowhere" / "00_tiny.ipynb")


def test_the_projects_notebooks_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_notebook("00_quickstart").is_file()
    assert [path.stem for path in all_notebooks()][:2] == ["00_quickstart", "01_the_miniature"]


def test_all_notebooks_get_those_parameters_that_they_have(make):
    one, other = make(name="00_one"), make(tag="", name="01_other")
    assert each_its_own([one, other], {"steps": 2}) == {one: {"steps": 2}, other: {}}
    with pytest.raises(UserError, match="no notebook has a parameter 'stepz'; they have: eps"):
        each_its_own([one, other], {"stepz": 2})


SLIDER = """
from IPython.display import Markdown
from ipywidgets import SelectionSlider, interact

@interact(stop=SelectionSlider(options=["1", "2", "3"], value="2"))
def shown_at(stop):
    return Markdown(f"stop {stop} " * 1000)
"""


def test_a_callback_of_a_widget_is_run_once_and_does_not_wait_for_a_browser(make):
    """nbclient's stand-in for a browser lost a reply in about every third run."""
    path = make(SLIDER, figures=())
    ran = run_notebook(path, timeout=60)
    outputs = nbformat.read(ran.copy, as_version=4).cells[2].outputs
    drawn = [o.data["text/markdown"][:6] for o in outputs if "text/markdown" in o.get("data", {})]
    assert drawn == ["stop 2"]
