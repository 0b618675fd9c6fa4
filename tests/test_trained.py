"""Trained weights in their compact form: small, and the same model again."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from shortcut_nb.personalize.trained import apply, difference

SHORT = {"steps": 2, "class_images": 2, "batch_size": 1, "prior_weight": 0.0}


@pytest.mark.parametrize(
    ("name", "more", "largest"),
    [
        ("dreambooth", {}, 40e6),
        ("dreambooth", {"text_lr": 0.0}, 30e6),
        ("dreambooth", {"prompts": "cdl", "ema_decay": 0.5}, 40e6),
        ("dreambooth-lora", {}, 2e6),
        ("textual-inversion", {}, 2e3),
        ("custom-diffusion", {}, 2e6),
    ],
)
def test_a_packed_model_samples_the_same_pictures(lab, subject, tmp_path, name, more, largest):
    trainer = lab.personalize(name, **SHORT, **more)
    fitted = trainer.fit(subject)
    save_file(trainer.pack(subject, fitted), tmp_path / "weights.safetensors")
    assert (tmp_path / "weights.safetensors").stat().st_size < largest
    again = trainer.unpack(subject, load_file(tmp_path / "weights.safetensors"), fitted.seconds)
    assert again.prompts == fitted.prompts and again.seconds == fitted.seconds
    how = {"n": 1, "seed": 3, "steps": 2}
    assert torch.equal(again.sample(**how), fitted.sample(**how))
    prompt = f"a painting of {subject.identifier}"
    assert torch.equal(again.sample(prompt=prompt, **how), fitted.sample(prompt=prompt, **how))


def test_only_what_changed_is_kept():
    start = {"a": torch.zeros(2, 2), "b": torch.zeros(3), "table": torch.zeros(10, 4)}
    trained = {name: tensor.clone() for name, tensor in start.items()}
    trained["b"][1] = 1.0
    trained["table"][7] = torch.arange(4.0)
    kept = difference(trained, start)
    assert set(kept) == {"b", "table#rows", "table#values"} and kept["table#rows"].tolist() == [7]
    apply(kept, start)
    assert all(torch.equal(start[name], trained[name]) for name in trained)


@pytest.mark.parametrize("kept", [{"c": torch.zeros(1)}, {"b": torch.zeros(4)}])
def test_weights_of_another_method_are_refused(kept):
    with pytest.raises(ValueError, match="train|shape"):
        apply(kept, {"b": torch.zeros(3)})
