"""Every notebook on a Stable-Diffusion-2.1-shaped profile and a folder of photos, to the end.

Random weights and two steps of everything: what is shown means nothing, but every cell runs. The
miniature's verdicts are shown beside, and nothing is asserted against them.
"""

from pathlib import Path

import nbformat
import pytest

from shortcut_nb.runner import all_notebooks, run_notebook

from .tiny_sd_profile import save_photos, save_sd_profile

ROOT = Path(__file__).resolve().parent.parent
PARAMETERS: dict[str, dict] = {
    "00_quickstart": {"samples": 2},
    "02_personalisation": {"samples": 2},
    "03_protective_perturbations": {"samples": 1},
    "05_shortcut_learning": {"samples": 2},
    "06_purification": {"leave_out": []},
    "07_contrastive_decoupling": {"samples": 1},
    "08_adaptive_attacks": {"samples": 1},
    "10_your_photos": {"samples": 1, "consent": True},
}
NOTEBOOKS = all_notebooks()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the profile, the photos, and one store for all notebooks."""
    folder = tmp_path_factory.mktemp("sd")
    save_sd_profile(folder / "models")
    save_photos(folder / "photos")
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_on_photos(path, place, tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(place / "store"))
    tracked = tracked_files()
    parameters = PARAMETERS.get(path.stem, {}) | {"profile": str(place / "models/tiny-sd21.yaml")}
    source = nbformat.read(path, as_version=4)
    names = "\n".join(c.source for c in source.cells if "parameters" in c.metadata.get("tags", []))
    for name in ("subject_name", "photos"):
        if f"{name}:" in names:
            parameters[name] = str(place / "photos")
    if "results:" in names:
        parameters["results"] = str(tmp_path / "made")
    ran = run_notebook(path, parameters, timeout=600, out=tmp_path / "out")
    assert all(figure.stat().st_size > 1000 for figure in ran.figures)
    assert ran.copy.parent == tmp_path / "out"
    cells = [c for c in nbformat.read(ran.copy, as_version=4).cells if c.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert tracked_files() == tracked


def tracked_files() -> str:
    """Sizes and times of the figures, notebooks and results that belong to the miniature."""
    folders = (ROOT / "figures", ROOT / "notebooks", ROOT / "shortcut_nb" / "results")
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
