"""Weights that are wrong are named in one line, and good ones are hashed once per machine."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from safetensors.torch import save_file

from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.metrics import AttributeReader, DamageRegressor, Detector, IdentityEncoder
from shortcut_nb.models.clip import Clip
from shortcut_nb.profile import load_profile
from shortcut_nb.weights import (
    PACKAGE,
    BadWeights,
    MissingWeights,
    ModelRef,
    check_weights,
    checked,
    digests,
    inspect_file,
    verify,
)
from tests.tiny_sd import save_pipeline

MINI = PACKAGE / "mini" / "weights"
GOOD = (MINI / "identity" / "model.safetensors").read_bytes()


def header(content, data=b""):
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + data


def lora():
    return header({"unet.lora_A": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}, b"\0\0")


BYTES = {
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
    "html_after_blanks": (b"\n\n  <html lang=en>", "HTML"),
    "xml_error": (b"<?xml version='1.0'?><Error>Denied</Error>", "HTML"),
    "empty": (b"", "empty"),
    "two_bytes": (b"\x08\x00", "cut short"),
    "zeros": (b"\0" * 4096, "zeros"),
    "cut_in_header": (GOOD[:300], "cut short"),
    "cut_in_data": (GOOD[:-500], "cut short"),
    "too_long": (GOOD + b"extra", "longer than its header"),
    "lfs_pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull",
    ),
    "json": (b'{"error": "Repository not found"}', "text"),
    "words": (b"Invalid username or password.", "text"),
    "pickle": (pickle.dumps({"a": 1}), "pickle"),
    "zip_pickle": (b"PK\x03\x04" + b"\0" * 40, "pickle"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "HDF5"),
    "gguf": (b"GGUF\x03\0\0\0" + b"\0" * 40, "GGUF"),
    "gzip": (b"\x1f\x8b\x08\0" + b"\0" * 40, "gzip"),
    "xz": (b"\xfd7zXZ\0" + b"\0" * 40, "xz"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "PNG"),
    "random": (bytes(range(130, 230)), "no safetensors file"),
    "header_no_json": (struct.pack("<Q", 16) + b"\xff" * 16, "damaged"),
    "header_a_list": (header([1, 2, 3]), "damaged"),
    "header_without_offsets": (header({"a": {"dtype": "F16", "shape": [1]}}), "damaged"),
    "header_of_text": (
        header({"a": {"dtype": "F16", "shape": "x", "data_offsets": [0, 1]}}, b"\0"), "damaged",
    ),
    "no_tensors": (header({"__metadata__": {"format": "pt"}}), "no weights"),
}  # fmt: skip


def one_line(error, path):
    text = str(error.value)
    assert str(path) in text and "\n" not in text and text.endswith(".")
    return text


@pytest.mark.parametrize("kind", BYTES)
def test_a_file_that_is_no_whole_safetensors_file_is_named(kind, tmp_path):
    content, what = BYTES[kind]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match=what) as error:
        inspect_file(path)
    assert ": " in one_line(error, path)  # after the colon: what to do


def test_a_missing_file_a_folder_and_a_broken_link_are_named(tmp_path):
    with pytest.raises(BadWeights, match="missing"):
        inspect_file(tmp_path / "none.safetensors")
    with pytest.raises(BadWeights, match="folder"):
        inspect_file(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadWeights, match="leads nowhere"):
        inspect_file(tmp_path / "link")


def test_a_good_file_says_what_it_holds(tmp_path):
    save_file({"a.weight": torch.zeros(2, 3, dtype=torch.float16)}, tmp_path / "x.safetensors")
    contents = inspect_file(tmp_path / "x.safetensors")
    assert contents["a.weight"].shape == (2, 3) and contents["a.weight"].dtype == "F16"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("sd") / "pipe", "sd15")


def edited(path, **change):
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def _remove(name):
    return lambda folder: (folder / name).unlink()


def _write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def _edit(name, **change):
    return lambda folder: edited(folder / name, **change)


def _part_from(part, other):
    def replace(folder):
        shutil.rmtree(folder / part)
        shutil.copytree(folder / other, folder / part)

    return replace


def _no_vocabulary(folder):
    for name in ("tokenizer.json", "vocab.json"):
        (folder / "tokenizer" / name).unlink(missing_ok=True)


def _pickled(folder):
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.bin")


def _two_variants(folder):
    for part in ("a", "b"):
        source = folder / "vae" / "diffusion_pytorch_model.safetensors"
        shutil.copy(source, source.with_name(f"diffusion_pytorch_model.{part}.safetensors"))
    source.unlink()


def _shard_gone(folder):
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    listed = {"weight_map": {"x": "diffusion_pytorch_model-00001-of-00002.safetensors"}}
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(listed))


UNET, VAE = "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"
INDEX, SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"
PIPELINES = {
    "no_index": (_remove(INDEX), "no diffusers pipeline"),
    "index_is_html": (_write(INDEX, b"<html>"), "not JSON"),
    "index_is_a_list": (_write(INDEX, b"[]"), "no configuration"),
    "inpainting": (_edit(INDEX, _class_name="StableDiffusionInpaintPipeline"), "mask"),
    "img2img": (_edit(INDEX, _class_name="StableDiffusionImg2ImgPipeline"), "starts from a"),
    "sd3": (_edit(INDEX, _class_name="StableDiffusion3Pipeline"), "flow matching"),
    "flux": (_edit(INDEX, _class_name="FluxPipeline"), "flow matching"),
    "pix2pix": (_edit(INDEX, _class_name="StableDiffusionInstructPix2PixPipeline"), "edits"),
    "controlnet": (_edit(INDEX, _class_name="StableDiffusionControlNetPipeline"), "control"),
    "upscaler": (_edit(INDEX, _class_name="StableDiffusionUpscalePipeline"), "purifiers"),
    "unknown": (_edit(INDEX, _class_name="KandinskyPipeline"), "no backbone knows"),
    "unet_gone": (lambda folder: shutil.rmtree(folder / "unet"), "unet is missing"),
    "unet_config_gone": (_remove("unet/config.json"), "config.json"),
    "unet_weights_gone": (_remove(UNET), "holds no weights"),
    "unet_pickled": (_pickled, "pickled"),
    "unet_shard_gone": (_shard_gone, "00001-of-00002"),
    "unet_is_the_vae": (_part_from("unet", "vae"), "AutoencoderKL"),
    "text_is_the_vae": (_part_from("text_encoder", "vae"), "no transformers model"),
    "vae_empty": (_write(VAE, b""), "empty"),
    "vae_variants": (_two_variants, "several variants"),
    "text_lfs": (_write("text_encoder/model.safetensors", BYTES["lfs_pointer"][0]), "git lfs"),
    "tokenizer_empty": (_no_vocabulary, "no vocabulary"),
    "scheduler_gone": (_remove(SCHEDULER), "scheduler_config.json is missing"),
    "flow": (
        _edit(INDEX, scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"]), "flow matching",
    ),
    "predicts_sample": (_edit(SCHEDULER, prediction_type="sample"), "predicts 'sample'"),
    "nine_channels": (_edit("unet/config.json", in_channels=9), "inpainting"),
    "eight_channels": (_edit("unet/config.json", in_channels=8), "edits a picture"),
    "other_vae": (_edit("vae/config.json", latent_channels=16), "different models"),
    "other_text": (_edit("text_encoder/config.json", hidden_size=1024), "width"),
    "tiny_vae": (_edit("vae/config.json", _class_name="AutoencoderTiny"), "AutoencoderTiny"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_that_cannot_be_used_is_refused_by_its_files(kind, pipeline, tmp_path):
    folder = tmp_path / "pipe"
    shutil.copytree(pipeline, folder)
    damage, what = PIPELINES[kind]
    damage(folder)
    with pytest.raises(BadWeights, match=what) as error:
        check_weights(folder, "stable-diffusion")
    one_line(error, folder)


WRONG = [
    ("stable-diffusion", "clip", "an open_clip model"),
    ("stable-diffusion", "identity", "one model"),
    ("stable-diffusion", "upscaler", "purifiers"),
    ("stable-diffusion", "pixel", "no backbone knows"),
    ("upscaler", "diffusion", "StableDiffusionPipeline"),
    ("ddpm", "diffusion", "DDPMPipeline should be"),
    ("ddpm", "restorer", "no diffusers pipeline"),
    ("open_clip", "diffusion", "a whole pipeline"),
    ("open_clip", "identity", "no open_clip model"),
    ("unet-restorer", "identity", "model.safetensors"),
    ("unet-restorer", "clip", "an open_clip model"),
    ("image-embedder", "diffusion", "a whole pipeline"),
    ("image-embedder", "restorer", "no transformers model"),
    ("image-classifier", "clip", "an open_clip model"),
    ("object-detector", "pixel", "a whole pipeline"),
]


@pytest.mark.parametrize(("loader", "folder", "what"), WRONG)
def test_another_models_folder_is_refused(loader, folder, what):
    with pytest.raises(BadWeights, match=what) as error:
        check_weights(MINI / folder, loader)
    one_line(error, MINI / folder)


@pytest.mark.parametrize(
    ("content", "what"), [(lora(), "a LoRA adapter"), (GOOD, "no Stable Diffusion checkpoint")]
)
def test_a_single_file_that_is_no_checkpoint_is_refused(content, what, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match=what):
        check_weights(path, "stable-diffusion")
    with pytest.raises(BadWeights, match="name the folder"):
        check_weights(path, "open_clip")


def test_everything_shipped_is_what_it_says():
    for ref in load_profile("mini").models().values():
        assert checked(ref).is_dir()


@pytest.mark.parametrize("role", ["diffusion", "clip", "identity", "detector", "purifier:pixel"])
def test_an_opener_notices_weights_that_were_changed(role, tmp_path):
    """One flipped byte: the file still opens, and its digest says no."""
    ref = load_profile("mini").models()[role]
    folder = tmp_path / "model"
    shutil.copytree(PACKAGE / ref.id.removeprefix("package:"), folder)
    file = sorted(folder.rglob("*.safetensors"))[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadWeights, match="expected sha256"):
        checked(ref.model_copy(update={"id": str(folder)}))


@pytest.mark.parametrize(
    ("name", "open_it"),
    [
        ("diffusion", open_pipeline),
        ("clip", Clip.open),
        ("identity", IdentityEncoder.from_folder),
        ("detector", Detector.from_folder),
    ],
)
def test_an_opener_that_is_called_by_itself_notices_too(name, open_it, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(MINI / name, folder)
    listed = json.loads((folder / "sha256.json").read_text())
    (folder / "sha256.json").write_text(json.dumps(dict.fromkeys(listed, "0" * 64)))
    with pytest.raises(BadWeights, match="expected sha256 000"):
        open_it(folder)


def old(path, seconds=100):
    stat = path.stat()
    os.utime(path, (stat.st_atime - seconds, stat.st_mtime - seconds))


def test_a_file_is_hashed_once_while_it_stays_the_same(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"weights")
    old(path)
    calls = []
    real = digests.file_sha256
    monkeypatch.setattr(digests, "file_sha256", lambda p: calls.append(p) or real(p))
    first = digests.known_sha256(path)
    assert digests.known_sha256(path) == first and len(calls) == 1
    path.write_bytes(b"weightz")
    old(path, 50)
    assert digests.known_sha256(path) != first and len(calls) == 2


def test_a_file_that_was_just_written_is_not_remembered(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"weights")
    first, time = digests.known_sha256(path), path.stat().st_mtime_ns
    path.write_bytes(b"weightz")
    os.utime(path, ns=(time, time))  # as on a coarse clock
    assert digests.known_sha256(path) != first


@pytest.mark.parametrize("content", ["not json", "[]", '{"x": 3}'])
def test_a_broken_memory_costs_nothing_but_time(content, tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path))
    digests.memory_path().write_text(content)
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    old(path)
    assert digests.known_sha256(path) == digests.file_sha256(path)
    assert json.loads(digests.memory_path().read_text())[str(path)]


def test_a_place_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "file" / "below"))
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    old(path)
    assert digests.known_sha256(path) == digests.file_sha256(path)


def test_the_hubs_cache_names_its_files_by_their_digests(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    path = tmp_path / "x"
    path.write_bytes(GOOD)
    digest = digests.file_sha256(path)
    path.rename(blobs / digest)
    (snapshot / "model.safetensors").symlink_to(blobs / digest)
    ref = ModelRef(id=str(snapshot), loader="image-embedder")
    assert verify(ref) == 1
    (blobs / digest).write_bytes(GOOD[:-1] + b"x")
    with pytest.raises(BadWeights, match="expected sha256"):
        verify(ref)


def test_missing_weights_are_said_before_any_library_is_loaded(tmp_path):
    """Offline and uncached, in a fresh process: one sentence, and no torch for it."""
    code = (
        "import sys\n"
        "from shortcut_nb import Lab\n"
        "try:\n"
        "    Lab('sd15').diffusion\n"
        "except FileNotFoundError as error:\n"
        "    print(error)\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'open_clip'} & set(sys.modules)))\n"
    )
    env = os.environ | {"HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    message, loaded = done.stdout.strip().splitlines()
    assert "stable-diffusion-v1-5" in message and "not on this machine" in message
    assert loaded == "[]"
    with pytest.raises(MissingWeights):
        checked(ModelRef(id="./nowhere", loader="open_clip"))


@pytest.mark.parametrize(
    ("loader", "options", "what"),
    [
        ("stable-diffusion", {"cfg": "x"}, "no option 'cfg'; it has: config"),
        ("image-embedder", {"threshold": 0.5}, "no option 'threshold'"),
        ("ddpm", {"size": 3}, "it has: none"),
    ],
)
def test_an_option_that_the_loader_does_not_have_is_refused_when_read(loader, options, what):
    with pytest.raises(ValueError, match=what):
        ModelRef(id="x", loader=loader, options=options)


@pytest.mark.parametrize(
    ("loader", "network"), [("attributes", AttributeReader), ("damage", DamageRegressor)]
)
def test_a_measure_takes_every_option_of_its_network(loader, network):
    """A reader that looks at pictures of 128 pixels can be named by a profile."""
    taken = [field.name for field in fields(network) if field.name != "model"]
    options = dict.fromkeys(taken, 128)
    assert ModelRef(id="x", loader=loader, options=options).options == options
    assert "size" in taken
