"""Every notebook runs from top to bottom, live, in a store of the notebooks' own."""

import nbformat
import pytest
import yaml

from shortcut_nb.profile import load_profile
from shortcut_nb.runner import all_notebooks, run_notebook

# Fewer samples and attacks than a reader would ask for; everything else as in the notebook.
PARAMETERS: dict[str, dict] = {
    "00_quickstart": {"samples": 4},
    "02_personalisation": {"samples": 2},
    "03_protective_perturbations": {"attacks": ["advdm"]},
    "05_shortcut_learning": {"samples": 4},
    "06_purification": {
        "leave_out": ["impress", "gridpure", "diffpure", "ldiffpure", "eldiffpure", "pdmpure"]
    },
    "07_contrastive_decoupling": {"samples": 2},
    "08_adaptive_attacks": {"samples": 2, "budgets": ["16/255"]},
    "09_benchmark": {"samples": 4},
    "10_your_photos": {"attack": "advdm", "samples": 2},
}
NOTEBOOKS = all_notebooks()


@pytest.fixture(autouse=True)
def _one_store(notebooks_store, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", notebooks_store)


def test_there_are_notebooks():
    assert {"00_quickstart", "01_the_miniature"} <= {path.stem for path in NOTEBOOKS}


def short_trainings(folder):
    """The miniature with a sixth of the training steps, as a profile in a file."""
    content = load_profile("mini").model_dump(mode="json")
    content["defaults"]["dreambooth"] |= {"steps": 20}
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return str(path)


# They say nothing that depends on how well a model has learned.
SHORT = {"10_your_photos"}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path, tmp_path):
    given = PARAMETERS.get(path.stem, {})
    if path.stem in SHORT:
        given = given | {"profile": short_trainings(tmp_path)}
    ran = run_notebook(path, given, timeout=1800, out=tmp_path / "out")
    assert all(figure.stat().st_size > 1000 for figure in ran.figures)
    cells = nbformat.read(ran.copy, as_version=4).cells
    assert all(c.execution_count for c in cells if c.cell_type == "code")


def test_a_misspelt_parameter_fails_the_run():
    with pytest.raises(ValueError, match="subjct"):
        run_notebook("00_quickstart", {"subjct": "mini:held-out/0"})
