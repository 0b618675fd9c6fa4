"""Prompts as token ids: odd tokenizers, words of several vectors, and threads that share one."""

import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.diffusion.lengths import check_lengths
from shortcut_nb.diffusion.tokens import plain_ids
from tests.tiny_sd import save_pipeline, save_sdxl

PROMPTS = ["a photo of a person", "", "word " * 100]
ODD = {
    "no length": lambda config: config.pop("model_max_length"),
    "too long": lambda config: config.update(model_max_length=512),
    "no padding": lambda config: config.update(pad_token=None),
}


@pytest.fixture(scope="module", params=[save_sdxl, lambda place: save_pipeline(place, "sd15")],
                ids=["sdxl", "sd15"])  # fmt: skip
def folder(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("tokens") / "pipe")


@pytest.mark.parametrize("kind", ODD)
def test_odd_tokenizers_read_what_the_usual_one_reads(folder, kind, tmp_path, caplog):
    shutil.copytree(folder, tmp_path / "pipe")
    for about in (tmp_path / "pipe").glob("tokenizer*/tokenizer_config.json"):
        config = json.loads(about.read_text())
        ODD[kind](config)
        about.write_text(json.dumps(config))
    model = open_pipeline(tmp_path / "pipe")
    assert torch.equal(model.embed(PROMPTS), open_pipeline(folder).embed(PROMPTS))
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        check_lengths(model, iter(PROMPTS))
    assert caplog.text.count("is cut off") == len(model.tokenizers)


def test_ids_are_what_the_tokenizer_itself_fills_and_cuts(folder):
    model = open_pipeline(folder)
    tokenizer = model.pipe.tokenizer
    own = tokenizer(PROMPTS, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert torch.equal(model.token_ids(PROMPTS), own)


def test_a_word_of_several_vectors_is_read_as_diffusers_reads_it(tmp_path):
    folder = save_pipeline(tmp_path / "pipe", "sd15")
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    save_file({"<toy>": torch.randn(3, 32)}, str(tmp_path / "toy.safetensors"))
    pipe.load_textual_inversion(str(tmp_path / "toy.safetensors"))
    model = open_pipeline(pipe)
    theirs, _ = pipe.encode_prompt("a photo of <toy>", "cpu", 1, False)
    assert torch.equal(model.embed(["a photo of <toy>"]), theirs)
    assert len(plain_ids(model.pipe, pipe.tokenizer, "<toy>")) == 3


def test_threads_that_share_a_tokenizer_read_whole_prompts(folder):
    """One asks for full rows, another for bare words: a tokenizer keeps how it was last asked."""
    model = open_pipeline(folder)
    expected = model.token_ids(PROMPTS)

    def ask(number):
        if number % 2:
            check_lengths(model, ["a photo of a person"])
            return True
        return torch.equal(model.token_ids(PROMPTS), expected)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(400)))
