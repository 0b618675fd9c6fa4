"""Textual inversion (Gal et al. 2023): nothing is trained but the embedding of one new word."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Parameter

from ..diffusion import Diffusion
from ..errors import UserError
from ..settings import Rate, Weight, Whole
from ..subjects import Subject
from .methods import named
from .token import (
    add_token,
    keep_other_rows,
    learn_one_row,
    placeholder,
    replace_word,
    row_of,
    table_of,
)
from .trainer import Trainer, register

EMBEDDING = "learned_embeds.safetensors"


@dataclass(eq=False)
class NewWord:
    """Trains one embedding row.

    Args:
        identifier: the word that the new token takes the place of in prompts.
        like: the word whose embedding the token begins with, the class.
    """

    identifier: str
    like: str
    _others: Tensor = field(init=False, repr=False)

    @property
    def token(self) -> str:
        return placeholder(self.identifier)

    def shared(self, model: Diffusion) -> list[Parameter]:
        table = table_of(model)
        return [p for p in named(model).values() if p is not table]

    def prepare(self, model: Diffusion, seed: int) -> None:
        _, unet, _ = model.modules
        unet.requires_grad_(False)
        learn_one_row(model, add_token(model, self.token, self.like))
        self._others = table_of(model).detach().clone()

    def rename(self, prompt: str, identifier: str) -> str:
        return replace_word(prompt, identifier, self.token)

    def groups(self, model: Diffusion, lr: float, text_lr: float) -> list[dict[str, Any]]:
        return [{"params": [table_of(model)], "lr": lr}]

    def constrain(self, model: Diffusion) -> None:
        keep_other_rows(model, row_of(model, self.token), self._others)

    def state(self, model: Diffusion) -> dict[str, Tensor]:
        return {"text.table": table_of(model)}

    def save(self, model: Diffusion, folder: Path) -> None:
        """Write learned_embeds.safetensors, which ``load_textual_inversion`` reads."""
        folder.mkdir(parents=True)
        row = table_of(model)[row_of(model, self.token)].detach().cpu().contiguous()
        save_file({self.token: row}, folder / EMBEDDING)

    def loading(self, folder: str) -> list[str]:
        return [f"pipe.load_textual_inversion({f'{folder}/{EMBEDDING}'!r})"]


@register("textual-inversion")
@dataclass(frozen=True)
class TextualInversion(Trainer):
    """Textual inversion; 5e-4 and 3,000 steps are diffusers' example for Stable Diffusion.

    It takes four batches a step there, at four times the rate (``--scale_lr``).

    Args:
        text_lr: has no part in it, since the word learns at ``lr``; 0 would freeze all there is.
    """

    steps: Whole = 3000
    lr: Rate = 5e-4
    prior_weight: Weight = 0.0
    weight_decay: Weight = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text_lr == 0:
            raise UserError(
                "textual inversion trains nothing but a word of the text encoder, at lr: expected "
                "a text_lr above 0 or none, got 0"
            )

    def method(self, subject: Subject) -> NewWord:
        return NewWord(subject.identifier, subject.class_name)
