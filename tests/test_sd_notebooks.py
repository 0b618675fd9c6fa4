"""Every notebook on a Stable-Diffusion-2.1-shaped profile and a folder of photos, to the end.

Random weights and two steps of everything: what is shown means nothing, but every cell runs. The
miniature's verdicts are shown beside, and nothing is asserted against them.
"""

from pathlib import Path

import nbformat
import pytest

from shortcut_nb.cli.run import each_its_own
from shortcut_nb.runner import NotebookFailed, all_notebooks, run_notebook

from .tiny_sd_profile import save_photos, save_sd_profile

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = all_notebooks()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the profile, the photos, and one store for all notebooks."""
    folder = tmp_path_factory.mktemp("sd")
    save_sd_profile(folder / "models")
    save_photos(folder / "photos")
    return folder


@pytest.fixture
def parameters(place, monkeypatch):
    """What each notebook is given: of these the ones that it has."""
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(place / "store"))
    values = {
        "profile": str(place / "models" / "tiny-sd21.yaml"),
        "subject_name": str(place / "photos"),
        "photos": str(place / "photos"),
        "consent": True,
        "results": str(place / "made"),
        "samples": 2,
    }
    return each_its_own(NOTEBOOKS, values)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_on_photos(path, parameters, tmp_path):
    before = tracked_files()
    ran = run_notebook(path, parameters[path], timeout=900, out=tmp_path / "out")
    assert all(figure.stat().st_size > 1000 for figure in ran.figures)
    assert ran.copy.parent == tmp_path / "out"
    cells = [c for c in nbformat.read(ran.copy, as_version=4).cells if c.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert tracked_files() == before


def test_a_run_that_fails_leaves_what_is_tracked_alone(parameters, tmp_path):
    before, first = tracked_files(), NOTEBOOKS[0]
    given = parameters[first] | {"subject_name": "mini:held-out/nobody"}
    with pytest.raises(NotebookFailed, match="cell"):
        run_notebook(first, given, timeout=900, out=tmp_path / "out")
    assert tracked_files() == before
    assert list((tmp_path / "out").glob("*.stopped.ipynb"))


def tracked_files() -> str:
    """Sizes and times of the figures, notebooks and results that belong to the miniature."""
    folders = (ROOT / "figures", ROOT / "notebooks", ROOT / "shortcut_nb" / "results")
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
