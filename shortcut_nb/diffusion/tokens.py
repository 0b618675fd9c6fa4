"""Prompts as token ids: of the length that both tokenizer and text encoder can take.

A fast tokenizer keeps how it was last asked to pad and to cut. Threads share it, so that one at a
time asks it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

asking = threading.RLock()
"""Held while a tokenizer is asked. It is of the module: models are copied and pickled."""


def length_of(tokenizer: Any, encoder: Any) -> int:
    """How many tokens of a prompt are read, those of start and end among them.

    A tokenizer whose configuration names no length, or too large a one, has its encoder's.
    """
    return min(tokenizer.model_max_length, encoder.config.max_position_embeddings)


def padded_ids(pipe: Any, tokenizer: Any, encoder: Any, prompts: Sequence[str]) -> Tensor:
    """Prompts as a text encoder reads them, (k, length), cut or filled up to its length.

    They are filled with the padding token; a tokenizer without one fills with the end token.
    """
    length = length_of(tokenizer, encoder)
    with asking:
        words = [_written_out(pipe, tokenizer, prompt) for prompt in prompts]
        rows = tokenizer(words, truncation=True, max_length=length).input_ids
        filling = tokenizer.pad_token_id
    if filling is None:
        filling = tokenizer.eos_token_id
    return torch.tensor([row + [filling] * (length - len(row)) for row in rows])


def plain_ids(pipe: Any, tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text and nothing else: not cut, not filled, without start and end."""
    with asking:
        return tokenizer(_written_out(pipe, tokenizer, text), add_special_tokens=False).input_ids


def _written_out(pipe: Any, tokenizer: Any, prompt: str) -> str:
    """A prompt in which a learned word of several vectors has a token for each, as diffusers has
    it."""
    convert = getattr(pipe, "maybe_convert_prompt", None)
    return convert(prompt, tokenizer) if convert else prompt
