"""Notebook 10 on a Stable-Diffusion-shaped profile and real photographs, with few steps."""

import nbformat
import numpy as np
import pytest
import yaml
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data

from shortcut_nb.profile import load_profile
from shortcut_nb.runner import NotebookFailed, run_notebook

from .tiny_sd import save_pipeline

FEW = {"steps": 2, "class_images": 2, "batch_size": 1}


@pytest.fixture
def profile(tmp_path):
    """Stable Diffusion 2.1 in small, with random weights, and the miniature's CLIP."""
    pipe = save_pipeline(tmp_path / "pipe", "sd21")
    real, mini = load_profile("sd21"), load_profile("mini")
    content = {
        "name": "tiny-sd21",
        "resolution": 64,
        "diffusion": {"id": str(pipe), "loader": "stable-diffusion"},
        "clip": mini.clip.model_dump(),
        "identity": None,
        "detector": None,
        "faces": real.faces.model_dump(),
        "sampling": {"steps": 2, "guidance_scale": 7.5},
        "purifier": "jpeg",
        "defaults": {"dreambooth": FEW, "advdm": {"steps": 2}},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def photos(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    Image.fromarray(np.ascontiguousarray(data.astronaut()[:360])).save(place / "astronaut.jpg")
    with Image.open(get_sample_data("grace_hopper.jpg")) as hopper:
        hopper.save(place / "hopper.png")
    return place


@pytest.mark.slow
def test_the_same_cells_run_on_photographs(profile, photos, tmp_path):
    given = {
        "profile": str(profile), "photos": str(photos), "consent": True, "attack": "advdm",
        "results": str(tmp_path / "made"), "samples": 2,
    }  # fmt: skip
    ran = run_notebook("10_your_photos", given, timeout=600, out=tmp_path / "out")
    assert all(figure.stat().st_size > 1000 for figure in ran.figures)
    for name, size in (("astronaut", (512, 360)), ("hopper", (512, 600))):
        for step in ("protected", "purified"):
            with Image.open(tmp_path / "made" / step / f"{name}.png") as opened:
                assert opened.size == size
    text = nbformat.writes(nbformat.read(ran.copy, as_version=4))
    assert "no face in the photo" in text or pytest.importorskip("dlib") is None


@pytest.mark.slow
def test_without_consent_nothing_is_opened(profile, photos, tmp_path):
    given = {"profile": str(profile), "photos": str(photos), "results": str(tmp_path / "made")}
    with pytest.raises(NotebookFailed, match="consent"):
        run_notebook("10_your_photos", given, timeout=600, out=tmp_path / "out")
    assert not (tmp_path / "made").exists()
