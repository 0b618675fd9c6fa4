"""What is done to one person's pictures before and while a model learns them, and what is drawn."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .budget import Budget

NONE = "none"
PROFILE = "profile"


class Record(BaseModel):
    """Plain data that cannot change and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


class Sheet(Record):
    """One way to sample a fine-tuned model.

    Args:
        of: whose words the training gives: the subject's ("own") or its class's ("class").
        prompt: other words instead; {identifier}, {class_name}, {instance}, {class_prompt} and
            {noise_token} are filled in.
        negative: None is the training's own; {negative} is the profile's.
        guidance_scale, steps: None are the profile's.
    """

    of: Literal["own", "class"] = "own"
    prompt: str | None = None
    negative: str | None = None
    guidance_scale: float | None = Field(default=None, ge=0)
    steps: int | None = Field(default=None, ge=1)


class Cell(Record):
    """One cell of an experiment.

    Args:
        attack: a name, or "none" for clean pictures.
        eps: the attack's budget, "k/255".
        settings: further parameters of the attack.
        clean_share: of the pictures that stay as they are, the first ones; they too are trained on.
        purifier: a name or chain, "none", or "profile" for the profile's own.
        purifying: further parameters of the purifier.
        trainer: a name.
        prompts: "plain", "cdl" or a part of it.
        training: further parameters of the trainer.
        pictures: how many are trained on: of set B, then of set A; None is all of set B.
        sheets: ways to sample besides those of the experiment, by name.
        looks: further measures of the pictures trained on, besides those of the experiment.
    """

    attack: str = NONE
    eps: str = "16/255"
    settings: dict[str, Any] = Field(default_factory=dict)
    clean_share: float = Field(default=0.0, ge=0, lt=1)
    purifier: str = NONE
    purifying: dict[str, Any] = Field(default_factory=dict)
    trainer: str = "dreambooth"
    prompts: str = "plain"
    training: dict[str, Any] = Field(default_factory=dict)
    pictures: int | None = Field(default=None, ge=1)
    sheets: dict[str, Sheet] = Field(default_factory=dict)
    looks: tuple[str, ...] = ()

    @field_validator("eps")
    @classmethod
    def _budget(cls, text: str) -> str:
        return str(Budget.parse(text))


CLEAN = Cell()
"""Plain DreamBooth on clean pictures."""
OWN = Sheet()
"""The subject, in the words that the training gives."""
