"""Trainings that begin with a finished miniature's weights instead of random ones.

A text-to-image model that has already learned to draw needs fewer steps to learn to draw better,
also in the latents of another autoencoder: only its first and last layers have to be learned anew.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

MODEL = "diffusion"


def text_encoder(weights: Path, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder of a finished miniature, for a tokenizer of the same words.

    The order of the vocabulary may differ; the rows of the embedding table follow the words.

    Raises:
        ValueError: the tokenizers do not know the same words.
    """
    folder = weights / MODEL
    model = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    old = CLIPTokenizer.from_pretrained(folder / "tokenizer").get_vocab()
    new = tokenizer.get_vocab()
    if old.keys() != new.keys():
        missing = sorted(new.keys() ^ old.keys())
        raise ValueError(
            f"expected the tokenizer of {folder} to know the same words; {len(missing)} differ, "
            f"such as {missing[0]!r}: train the text encoder from nothing"
        )
    rows = torch.empty(len(new), dtype=torch.long)
    for word, row in new.items():
        rows[row] = old[word]
    table = model.get_input_embeddings()
    with torch.no_grad():
        table.weight.copy_(table.weight[rows].clone())
    model.config.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def unet(weights: Path, name: str = MODEL) -> UNet2DConditionModel:
    """The UNet of a finished miniature, in float32."""
    return UNet2DConditionModel.from_pretrained(weights / name / "unet", torch_dtype=torch.float32)
