"""How far fine-tuning moves a word: its embeddings, and its states in the text encoder."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..diffusion import Diffusion
from ..diffusion.tokens import plain_ids
from ..errors import UserError
from ..personalize.token import table_of
from .attention import token_span


@torch.no_grad()
def word_drift(before: Diffusion, after: Diffusion, prompt: str, words: list[str]) -> pd.DataFrame:
    """Compare a prompt's words in two text encoders, such as before and after fine-tuning.

    Args:
        words: parts of the prompt, such as the identifier and the class word.

    Returns:
        One row per word and level. ``level`` is "embedding" (rows of the token table) or "state"
        (what the UNet reads, at the word's places in the prompt); a word of several tokens is
        their mean. ``cosine`` of before and after in [-1, 1]; ``length`` before; ``growth``, its
        relative change; ``distance`` of the two, relative to the length before.

    Raises:
        UserError: a word that is not in the prompt, or that the two models spell with other
            tokens (a method that adds a token of its own: compare two such models).
    """
    rows = []
    for word in words:
        spans = [token_span(model, prompt, word) for model in (before, after)]
        ids = [_ids(model, word) for model in (before, after)]
        if ids[0] != ids[1] or spans[0] != spans[1]:
            raise UserError(
                f"expected {word!r} to be the same tokens in both models; got {ids[0]} and {ids[1]}"
            )
        levels = {
            "embedding": [table_of(model)[ids[0]] for model in (before, after)],
            "state": [model.embed([prompt])[0, spans[0]] for model in (before, after)],
        }
        rows += [{"word": word, "level": level} | _compare(*pair) for level, pair in levels.items()]
    return pd.DataFrame(rows)


def _ids(model: Diffusion, word: str) -> list[int]:
    return plain_ids(model.pipe, model.pipe.tokenizer, word)


def _compare(before: Tensor, after: Tensor) -> dict[str, float]:
    """(k, width) each; means over the k tokens."""
    one, two = before.double().cpu(), after.double().cpu()
    length = one.norm(dim=-1)
    return {
        "cosine": float(cosine_similarity(one, two, dim=-1).mean()),
        "length": float(length.mean()),
        "growth": float((two.norm(dim=-1) / length - 1).mean()),
        "distance": float(((two - one).norm(dim=-1) / length).mean()),
    }
