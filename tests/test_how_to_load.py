"""The lines that load a training's result elsewhere, run as they are, wherever the base lies."""

import shutil

import pytest
import torch
from diffusers import StableDiffusionPipeline

from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.errors import UserError
from shortcut_nb.lab import Lab
from shortcut_nb.models.named import Named
from shortcut_nb.profile import ModelRef, load_profile
from shortcut_nb.subjects import Subject
from tests.ldm_file import save_single_file
from tests.tiny import pictures
from tests.tiny_sd import save_pipeline, save_sdxl

HOW = {"seed": 0, "steps": 2, "guidance_scale": 3.0}
UNET, TEXT = "unet/diffusion_pytorch_model", "text_encoder/model"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """One model as it may lie about: whole, in half precision, some parts so, in one file."""
    home = tmp_path_factory.mktemp("bases")
    whole = save_pipeline(home / "whole", "sd15")
    pipe = StableDiffusionPipeline.from_pretrained(whole)
    save_single_file(pipe, home / "one.safetensors")
    half = pipe.to(torch.float16)
    half.save_pretrained(home / "half")
    half.save_pretrained(home / "fp16", variant="fp16")
    for name, part in (("mixed-unet", UNET), ("mixed-text", TEXT)):
        shutil.copytree(whole, home / name)
        (home / name / f"{part}.safetensors").unlink()
        end = f"{part}.fp16.safetensors"
        shutil.copy(home / "fp16" / end, home / name / end)
    save_sdxl(home / "sdxl")
    return home


def profile_of(resolution=64, **ref):
    profile = load_profile("sd15")
    small = {
        "resolution": resolution,
        "defaults": {},
        "diffusion": ModelRef(loader="stable-diffusion", **ref),
        "sampling": profile.sampling.model_copy(update={"steps": 2}),
    }
    return profile.model_copy(update=small)


def learned(profile):
    """A LoRA trained for a step."""
    trainer = Lab(profile, "cpu", torch.float32).personalize(
        "dreambooth-lora", steps=1, prior_weight=0.0, lr=1e-2, batch_size=1
    )
    person = Subject.from_images(pictures(1, profile.resolution))
    return trainer.fit(person)


def loaded(one, folder):
    """The pipeline that the lines make, and what else they name."""
    names = {}
    exec(one.how_to_load(folder), names)
    pipe = names["pipe"]
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    return pipe, names


@pytest.mark.parametrize("name", ["whole", "half", "fp16", "mixed-unet", "mixed-text"])
def test_a_base_opens_in_float32_however_it_is_kept(places, name, tmp_path):
    one = learned(profile_of(id=str(places / name)))
    pipe, _ = loaded(one, one.save(tmp_path / "out"))
    assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {torch.float32}
    drawn = open_pipeline(pipe).sample("a photo", 1, **HOW)
    torch.testing.assert_close(drawn, one.model.sample("a photo", 1, **HOW), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "ref",
    [{"id": "~/fp16"}, {"id": "~/one.safetensors", "options": {"config": "~/whole"}}],
    ids=["folder", "file"],
)
def test_places_at_home_are_written_out(places, ref, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(places))
    one = learned(profile_of(**ref))
    one.save(places / "learned")
    assert "~" not in one.how_to_load("~/learned")
    loaded(one, "~/learned")
    shutil.rmtree(places / "learned")


def test_a_hub_ids_files_are_looked_at_in_the_cache(places, tmp_path, monkeypatch):
    home = tmp_path / "models--someone--halves"
    shutil.copytree(places / "fp16", home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    base = Named(profile_of(id="someone/halves")).base
    assert base == "from_pretrained('someone/halves', variant='fp16', torch_dtype=torch.float32)"
    absent = Named(profile_of(id="someone/absent", revision="main")).base
    assert absent == "from_pretrained('someone/absent', revision='main')"


def test_another_resolution_than_the_models_own_is_said(places, tmp_path):
    one = learned(profile_of(resolution=96, id=str(places / "whole")))
    _, names = loaded(one, one.save(tmp_path / "out"))
    assert names["image"].size == (96, 96)


def test_sdxls_lines_draw_what_is_drawn_here(places, tmp_path):
    """diffusers reads an empty negative prompt, and has zeros for none."""
    one = learned(profile_of(id=str(places / "sdxl")))
    lines = one.how_to_load(one.save(tmp_path / "out"))
    seeded = "generator=torch.Generator().manual_seed(3 * 100_003), output_type='pt').images[0]"
    names = {}
    exec(f"import torch\n{lines.replace(').images[0]', f', {seeded}')}", names)
    torch.testing.assert_close(names["image"], one.sample(1, seed=3)[0], atol=2e-3, rtol=0)


@pytest.mark.parametrize("folder", [None, "", 3])
def test_what_is_no_folder_is_refused(places, folder):
    one = learned(profile_of(id=str(places / "whole")))
    with pytest.raises(UserError, match="folder"):
        one.how_to_load(folder)
