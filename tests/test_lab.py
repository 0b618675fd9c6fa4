"""The lab: shipped weights, photo folders as subjects, and clear refusals."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from shortcut_nb import Lab
from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.mini.avatars import draw, identity, nuisance
from shortcut_nb.profile import MissingWeights, load_profile, resolve, verify


def test_shipped_weights_are_what_they_say(lab):
    for ref in lab.profile.models().values():
        assert verify(ref) > 0


def test_shipped_weights_are_small_and_half_precision():
    from shortcut_nb.mini.pretrain.__main__ import WEIGHTS

    files = list(WEIGHTS.rglob("*"))
    assert not [p for p in files if p.suffix in (".bin", ".pt", ".pkl", ".ckpt")]
    tensors = [t for p in files if p.suffix == ".safetensors" for t in load_file(p).values()]
    assert len(tensors) > 100
    weights = [t for t in tensors if t.is_floating_point()]
    assert {t.dtype for t in weights} == {torch.float16}
    assert sum(t.nbytes for t in weights) < 40e6


def test_a_folder_of_photos_is_a_subject(lab, tmp_path, caplog):
    """Every picture of a plain folder is protected, trained on, and compared with."""
    for i in range(6):
        picture = Image.fromarray(draw(identity("held-out", 0), nuisance(i), 96))
        picture.convert("L" if i == 1 else "RGB").save(tmp_path / f"{i}.png")
    with caplog.at_level("INFO", "shortcut_nb"):
        subject = lab.subject(tmp_path, class_name="man")
    assert "6 pictures, each in sets A, B and C" in caplog.text
    assert subject.a.shape == subject.b.shape == subject.c.shape == (6, 3, 64, 64)
    assert subject.files == tuple(f"{i}.png" for i in range(6))
    assert subject.instance_prompt == "a photo of sks man"
    frame = lab.score(subject.b, subject)
    assert len(frame) == 6 and frame["ims"].drop(1).min() > 0.6


def test_three_folders_are_the_three_sets(lab, tmp_path):
    for count, name in enumerate(("set_A", "set_B", "set_C"), start=1):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("RGB", (64, 64), (40 * count, 0, 0)).save(tmp_path / name / f"{i}.png")
    subject = lab.subject(str(tmp_path))
    assert [len(x) for x in (subject.a, subject.b, subject.c)] == [1, 2, 3]
    assert subject.files == ("0.png", "1.png")
    shutil.rmtree(tmp_path / "set_C")
    with pytest.raises(FileNotFoundError, match="set_A, set_B but no set_C"):
        lab.subject(tmp_path)


def test_bad_folders(lab, tmp_path):
    with pytest.raises(FileNotFoundError):
        lab.subject(tmp_path)
    whole = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "red").save(whole)
    whole.write_bytes(whole.read_bytes()[:60])
    with pytest.raises(ValueError, match="cut short|damaged|cannot be read|not a picture"):
        lab.subject(tmp_path)
    Image.new("RGB", (1, 1)).save(whole)
    with pytest.raises(ValueError, match="1 x 1"):
        lab.subject(tmp_path)


def test_missing_weights_say_what_to_fetch():
    profile = load_profile("sd15")
    ref = profile.diffusion.model_copy(update={"id": "nobody/no-such-model"})
    lab = Lab(profile.model_copy(update={"diffusion": ref}), device="cpu")
    with pytest.raises(MissingWeights, match="nobody/no-such-model"):
        _ = lab.diffusion


def test_a_changed_weight_file_is_noticed(tmp_path):
    folder = tmp_path / "identity"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"changed")
    (folder / "sha256.json").write_text(json.dumps({"model.safetensors": "0" * 64}))
    ref = load_profile("mini").identity.model_copy(update={"id": str(folder)})
    with pytest.raises(ValueError, match="safetensors"):
        verify(ref)


def test_metrics_tell_people_apart(lab):
    one, other = lab.subject("mini:held-out/0"), lab.subject("mini:held-out/1")
    assert lab.score(one.b, one)["ims"].mean() > lab.score(one.b, other)["ims"].mean() + 0.3
    assert lab.score(one.b, one)["face"].min() > 0.5


def test_restorer_brings_noisy_pictures_closer(lab, subject):
    noise = torch.randn(subject.b.shape, generator=torch.Generator().manual_seed(0))
    noisy = (subject.b + 0.08 * noise).clamp(0, 1)
    after = lab.purifier("restorer")(noisy)
    assert (after - subject.b).square().mean() < (noisy - subject.b).square().mean() / 2
    assert (lab.purifier("restorer")(subject.b) - subject.b).abs().mean() < 0.03


def test_a_folder_without_vae_and_text_encoder_borrows_them(lab, tmp_path):
    """And is then what a complete folder of the same parts is."""
    second = lab.ensemble["ensemble:0"]
    lent = second.lend(resolve(lab.profile.ensemble[0]))
    assert set(lent) == {"vae", "tokenizer", "text_encoder"}
    assert second.pipe.vae is lab.diffusion.pipe.vae
    assert second.pipe.unet is not lab.diffusion.pipe.unet
    second.pipe.save_pretrained(tmp_path)
    assert second.lend(tmp_path) == {}
    whole = open_pipeline(tmp_path, lab.device, autocast=lab.autocast, lender=lab.diffusion)
    assert whole.pipe.vae is not lab.diffusion.pipe.vae
    how = {"n": 2, "seed": 3, "steps": 3, "guidance_scale": 4.0}
    images = [model.sample("a photo of a person", **how) for model in (second, whole)]
    assert torch.equal(*images)
