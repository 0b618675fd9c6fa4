"""A new word: one row of the text encoder's embedding table, and nothing else of it."""

from __future__ import annotations

import copy
import re

import torch
from torch import Tensor
from torch.nn import Parameter

from ..diffusion import Diffusion
from ..diffusion.tokens import asking, plain_ids
from ..errors import UserError


def placeholder(identifier: str) -> str:
    """The token that stands for an identifier: "sks" becomes "<sks>"; "<sks>" stays."""
    return identifier if re.fullmatch(r"<.+>", identifier) else f"<{identifier}>"


def replace_word(text: str, word: str, token: str) -> str:
    """``text`` with a whole word replaced; parts of longer words and tokens stay."""
    return re.sub(rf"(?<![\w<]){re.escape(word)}(?![\w>])", lambda _: token, text)


def add_token(model: Diffusion, token: str, like: str) -> int:
    """Give a model's own tokenizer and text encoder a token that begins as the mean of a word's.

    Returns:
        The row of the new token. The embedding table alone wants gradients afterwards.

    Raises:
        UserError: when the tokenizer has the token already, or there are several text encoders.
    """
    if len(model.encoders) > 1:
        raise UserError(
            f"a new word has a row in one text encoder, and this model has {len(model.encoders)}: "
            "train it with dreambooth-lora or dreambooth"
        )
    pipe = model.pipe
    with asking:
        tokenizer, text = copy.deepcopy(pipe.tokenizer), pipe.text_encoder
    ids = plain_ids(pipe, tokenizer, like)
    if tokenizer.add_tokens([token]) != 1:
        raise UserError(f"the tokenizer has {token!r} already: choose another identifier")
    pipe.tokenizer = tokenizer
    text.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table, row = text.get_input_embeddings().weight, tokenizer.convert_tokens_to_ids(token)
    with torch.no_grad():
        table[row] = table[ids].mean(0)
    text.requires_grad_(False)
    table.requires_grad_(True)
    return row


def table_of(model: Diffusion) -> Parameter:
    """The embedding table."""
    return model.pipe.text_encoder.get_input_embeddings().weight


def row_of(model: Diffusion, token: str) -> int:
    """The row of a token."""
    return model.pipe.tokenizer.convert_tokens_to_ids(token)


def learn_one_row(model: Diffusion, row: int) -> None:
    """From now on no other row of the table has a gradient, so that clipping counts this one."""

    def alone(gradient: Tensor) -> Tensor:
        masked = torch.zeros_like(gradient)
        masked[row] = gradient[row]
        return masked

    table_of(model).register_hook(alone)


def keep_other_rows(model: Diffusion, row: int, others: Tensor) -> None:
    """Put every row but one back to what it was (weight decay and momentum move them)."""
    table = table_of(model)
    with torch.no_grad():
        kept = table[row].clone()
        table.copy_(others)
        table[row] = kept
