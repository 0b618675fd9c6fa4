"""What torch's modes around a call may not change: gradients off, inference mode, autocast."""

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.cells import Cell
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.store import Store

MODES = {
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}
TRAINING = {"steps": 1, "class_images": 2, "batch_size": 1, "lr": 1e-3}


@pytest.fixture(scope="module")
def work(tiny_lab):
    """An attack with surrogates, a training and a purifier with its own gradients, by name."""
    subject = tiny_lab.subject("mini:held-out/0")
    aspl = tiny_lab.attack("aspl", rounds=1, clean_steps=1, pgd_steps=1, perturbed_steps=1)
    trainer = tiny_lab.personalize("dreambooth", **TRAINING)
    impress = tiny_lab.purifier("impress", steps=1)
    return {
        "attack": lambda: aspl(subject).images,
        "training": lambda: torch.tensor(trainer.fit(subject).losses),
        "purifier": lambda: impress(subject.b[:1]),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["attack", "training", "purifier"])
def test_a_mode_around_it_changes_nothing(work, what, mode):
    plain = work[what]()
    with MODES[mode]():
        assert torch.equal(work[what](), plain)


def test_the_same_pictures_are_kept_under_a_key(tiny_lab, tmp_path):
    subject, cell = tiny_lab.subject("mini:held-out/0"), Cell(attack="advdm", settings={"steps": 1})
    plain = Pipeline(tiny_lab, tmp_path / "one").images(subject, cell)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = Pipeline(tiny_lab, Store(tmp_path / "two")).images("mini:held-out/0", cell)
    assert torch.equal(plain, other)


def test_a_pipeline_takes_a_profile_and_refuses_what_is_no_cell(tmp_path):
    pipeline = Pipeline("mini", tmp_path)
    assert isinstance(pipeline.lab, Lab) and pipeline.store.root == tmp_path
    with pytest.raises(TypeError, match="expected a Cell"):
        pipeline.images("mini:held-out/0", {"attack": "noise"})


def test_a_kept_model_opened_in_inference_mode_can_be_trained_with(tiny_lab, tmp_path):
    pipeline, cell = Pipeline(tiny_lab, tmp_path), Cell(training=TRAINING)
    pipeline.model("mini:held-out/0", cell)
    with torch.inference_mode():
        model = Pipeline(tiny_lab, tmp_path).model("mini:held-out/0", cell).model
    assert not any(p.is_inference() for module in model.modules for p in module.parameters())
