"""Prompts that are longer than a text encoder reads: what is cut is said, vital words are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from ..errors import UserError
from .backbone import Diffusion
from .tokens import asking, length_of, plain_ids

log = logging.getLogger("shortcut_nb")


def check_lengths(model: Diffusion, prompts: Iterable[str], vital: str = "") -> None:
    """Warn of prompts whose end a model's tokenizers cut off.

    Args:
        vital: words whose loss would change what the method is, such as CDL's noise token.

    Raises:
        UserError: when vital words, where a prompt has them, fall off.
    """
    wordings = [*dict.fromkeys(prompts)]
    for tokenizer, encoder in zip(model.tokenizers.values(), model.encoders.values()):
        for prompt in wordings:
            with asking:
                _check(model.pipe, tokenizer, length_of(tokenizer, encoder), prompt, vital)


def _check(pipe: Any, tokenizer: Any, length: int, prompt: str, vital: str) -> None:
    ids = plain_ids(pipe, tokenizer, prompt)
    room = length - tokenizer.num_special_tokens_to_add()
    if len(ids) <= room:
        return
    lost = tokenizer.decode(ids[room:])
    if vital and vital in prompt:
        upto = prompt[: prompt.rindex(vital) + len(vital)]
        if len(plain_ids(pipe, tokenizer, upto)) > room:
            raise UserError(
                f"the prompt has {len(ids)} tokens and the model reads {room}: of {prompt!r} the "
                f"words {vital!r} would be cut off. Use a shorter prompt or class name."
            )
    log.warning("the model reads %d tokens of a prompt: %r is cut off from %r", room, lost, prompt)
