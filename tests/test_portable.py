"""The shipped pipeline in plain diffusers, by its documented call; names that old releases read."""

import json
import shutil

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import CLIPTokenizer

from shortcut_nb.mini.pretrain.text_keys import make_portable
from shortcut_nb.weights import PACKAGE, cached_file_digests

SHIPPED = PACKAGE / "mini" / "weights"
FOLDER = SHIPPED / "diffusion"


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16, torch.float16])
def test_it_opens_and_draws_whatever_the_dtype(dtype):
    pipe = StableDiffusionPipeline.from_pretrained(FOLDER)
    if dtype is not None:
        pipe = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    expected = torch.float32 if dtype is None else dtype
    assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {expected}
    generator = torch.Generator().manual_seed(0)
    images = pipe(
        "a photo of a person", num_inference_steps=2, generator=generator, output_type="pt"
    ).images
    assert images.shape == (1, 3, 64, 64) and torch.isfinite(images).all() and images.std() > 0.05


def test_everything_shipped_is_portable(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "weights", ignore=shutil.ignore_patterns("clip"))
    before = cached_file_digests(tmp_path / "weights")
    assert make_portable(tmp_path / "weights") == []
    assert cached_file_digests(tmp_path / "weights") == before


def test_new_names_become_old_ones_and_every_bit_stays(tmp_path):
    shutil.copytree(FOLDER / "text_encoder", tmp_path / "text_encoder")
    weights = tmp_path / "text_encoder" / "model.safetensors"
    old = {name: tensor.clone() for name, tensor in load_file(weights).items()}  # no longer mapped
    assert all(name.startswith("text_model.") for name in old)
    new = {name.removeprefix("text_model."): tensor for name, tensor in old.items()}
    save_file(new | {"text_projection.weight": torch.ones(2)}, weights)
    config = tmp_path / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float16"}))
    assert make_portable(tmp_path) == [config, weights]
    tensors = load_file(weights)
    assert tensors.pop("text_projection.weight").sum() == 2
    assert tensors.keys() == old.keys() and all(
        torch.equal(tensors[name], old[name]) for name in old
    )
    assert json.loads(config.read_text())["dtype"] == "float32"


def test_the_vocabulary_of_old_releases_says_the_same(tmp_path):
    """vocab.json and merges.txt alone, against tokenizer.json itself."""
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(FOLDER / "tokenizer" / name, tmp_path)
    old = CLIPTokenizer.from_pretrained(str(tmp_path))
    new = Tokenizer.from_file(str(FOLDER / "tokenizer" / "tokenizer.json"))
    new.no_padding()
    for text in ("a photo of sks person", "t@t noisy pattern", "", "A Bald man, 3 hats!"):
        assert old(text).input_ids == new.encode(text).ids
