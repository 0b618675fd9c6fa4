"""Every opener refuses weights that are whole and not its own, in one line that names the place."""

import shutil

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.models import loaders
from shortcut_nb.profile import load_profile
from shortcut_nb.weights import PACKAGE, BadWeights, ModelRef
from shortcut_nb.weights.safe_opening import opening as one_line

WEIGHTS = PACKAGE / "mini" / "weights"
OTHER = WEIGHTS / "restorer" / "diffusion_pytorch_model.safetensors"
FACE = WEIGHTS / "identity" / "model.safetensors"

# role in the profile, its opener, the weights that are replaced, by what
CASES = {
    "clip": ("clip", loaders.open_clip_model, "open_clip_model.safetensors", OTHER),
    "identity": ("identity", loaders.open_picture_network, "model.safetensors", OTHER),
    "detector": ("detector", loaders.open_picture_network, "model.safetensors", OTHER),
    "detector_without_its_head": (
        "detector", loaders.open_picture_network, "model.safetensors", FACE,
    ),
    "restorer": (
        "purifier:restorer", loaders.open_network, "diffusion_pytorch_model.safetensors", FACE,
    ),
    "pixel": (
        "purifier:pixel", loaders.open_pixel_diffusion,
        "unet/diffusion_pytorch_model.safetensors", OTHER,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_weights_of_another_model_are_refused_by_the_opener(case, tmp_path):
    role, open_it, name, other = CASES[case]
    ref = load_profile("mini").models()[role]
    folder = tmp_path / "model"
    shutil.copytree(PACKAGE / ref.id.removeprefix("package:"), folder)
    (folder / "sha256.json").unlink()
    shutil.copy(other, folder / name)
    with pytest.raises(BadWeights) as error:
        open_it(ref.model_copy(update={"id": str(folder)}), "cpu")
    text = str(error.value)
    assert str(folder) in text and "\n" not in text and len(text) < 600


def test_an_upscaler_with_another_unet_is_refused(lab, tmp_path):
    shutil.copytree(WEIGHTS / "upscaler", tmp_path / "model")
    (tmp_path / "model" / "sha256.json").unlink()
    shutil.copy(OTHER, tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    ref = ModelRef(id=str(tmp_path / "model"), loader="upscaler")
    with pytest.raises(BadWeights, match="unet"):
        loaders.open_upscaler(ref, "cpu", lab.diffusion)


@pytest.mark.parametrize("name", ["face.pth", "face.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 no zip", b"\x80\x02no pickle"])
def test_a_face_restorers_file_that_is_none_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadWeights) as error:
        loaders.open_network(ModelRef(id=str(tmp_path / name), loader="spandrel"), "cpu")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_pickle_that_would_run_code_is_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Bomb()}, tmp_path / "face.pth")
    with pytest.raises(BadWeights, match="tensors and nothing else"):
        loaders.open_network(ModelRef(id=str(tmp_path / "face.pth"), loader="spandrel"), "cpu")
    assert not (tmp_path / "ran").exists()


def test_classes_of_other_libraries_are_never_imported(tmp_path):
    shutil.copytree(WEIGHTS / "diffusion", tmp_path / "model")
    index = tmp_path / "model" / "model_index.json"
    text = index.read_text().replace('"transformers",\n    "CLIPTextModel"', '"os",\n    "system"')
    assert '"system"' in text
    index.write_text(text)
    with pytest.raises(BadWeights, match="'os'"):
        open_pipeline(tmp_path / "model")


@pytest.mark.parametrize(
    "error", [OSError("no\nfile"), KeyError("weight"), RuntimeError("x " * 500), ValueError("")]
)
def test_any_error_of_a_loader_becomes_one_line(error):
    with pytest.raises(BadWeights) as found, one_line("/some/place", "a model"):
        raise error
    text = str(found.value)
    assert text.startswith("/some/place cannot be opened as a model") and "\n" not in text
    assert len(text) < 400 and found.value.__cause__ is error


def test_memory_that_runs_out_is_no_fault_of_the_weights():
    with pytest.raises(MemoryError), one_line("/some/place", "a model"):
        raise MemoryError
    with pytest.raises(torch.OutOfMemoryError), one_line("/some/place", "a model"):
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": {"open_clip_model.safetensors": "0" * 64}},
        {"ensemble": {"unet/diffusion_pytorch_model.safetensors": "0" * 64}},
    ],
    ids=["clip", "ensemble"],
)
def test_a_lab_holds_weights_against_the_digests_that_its_profile_gives(wrong):
    ((role, sha256),) = wrong.items()
    profile = load_profile("mini")
    ref = profile.ensemble[0] if role == "ensemble" else profile.clip
    changed = ref.model_copy(update={"sha256": sha256})
    update = {role: [changed] if role == "ensemble" else changed}
    lab = Lab(profile.model_copy(update=update), "cpu", torch.float32)
    with pytest.raises(BadWeights, match=next(iter(sha256))):
        getattr(lab, role)
