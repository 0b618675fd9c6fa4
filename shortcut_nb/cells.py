"""What is done to one person's pictures before and while a model learns them, and what is drawn."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .budget import Budget
from .records import Strict
from .templates import check_template

NONE = "none"
PROFILE = "profile"


class Record(Strict):
    """Part of an experiment: true and false mean nothing in it, and it can be a key.

    Raises:
        UserError: when it is called with a key or a value that cannot be; in one line.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, given: Any) -> Any:
        """YAML's "yes" would count as 1."""
        if isinstance(given, bool):
            raise ValueError(f"true and false mean nothing here; got {str(given).lower()}")
        return given

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


CELL_COLUMNS = ("attack", "eps", "purifier", "trainer", "prompts")
"""Fields of a cell that are columns of a frame."""
SHEET_WORDS = ("identifier", "class_name", "instance", "class_prompt", "noise_token", "negative")
CELL_WORDS = (*SHEET_WORDS, "traits")


class Sheet(Record):
    """One way to sample a fine-tuned model, or to look into it.

    Args:
        of: whose prompt is taken: the subject's ("own", "a photo of sks person") or its class's
            ("class", "a photo of person"), as the training words them.
        prompt: another prompt instead; {identifier}, {class_name}, {instance}, {class_prompt} and
            {noise_token} are filled in.
        negative: None is the training's own; {negative} is the profile's.
        guidance_scale, steps: None are the profile's.
        at: share of the training's steps after which to sample, in [0, 1); None is its end.
        inside: a name of :data:`.inside.MODEL_PROBES`: that probe looks into the model, which is
            not sampled; the other fields do not count then.
    """

    of: Literal["own", "class"] = "own"
    prompt: str | None = None
    negative: str | None = None
    guidance_scale: float | None = Field(default=None, ge=0, le=1000)
    steps: int | None = Field(default=None, ge=1, le=1000)
    at: float | None = Field(default=None, ge=0, lt=1)
    inside: str | None = None

    @field_validator("prompt", "negative")
    @classmethod
    def _filled(cls, text: str | None) -> str | None:
        return text if text is None else check_template(text, SHEET_WORDS)


class Cell(Record):
    """One cell of an experiment.

    Args:
        attack: a name, or "none" for clean pictures.
        eps: the attack's budget, "k/255".
        settings: further parameters of the attack.
        clean_share: of the pictures that stay as they are, the first ones; they too are trained on.
        share: of the pictures that are perturbed; the others stay clean.
        perturbation: whose a picture carries: its "own", another picture's of the subject
            ("shuffled"), or that of the profile's next subject ("another's").
        purifier: a name or chain, "none", or "profile" for the profile's own.
        purifying: further parameters of the purifier.
        trainer: a name.
        prompts: "plain", "cdl" or a part of it.
        training: further parameters of the trainer.
        pictures: how many are trained on: of set B, then of set A; None is all of set B.
        instance: what the subject's pictures are called in training; None is the subject's own.
            {identifier}, {class_name}, {instance}, {class_prompt} and {traits} (CLIP's words for
            the clean pictures) are filled in.
        sheets: ways to sample besides those of the experiment, by name.
        image_probes: further measures of the pictures trained on, besides those of the experiment.
    """

    attack: str = NONE
    eps: str = "16/255"
    settings: dict[str, Any] = Field(default_factory=dict)
    clean_share: float = Field(default=0.0, ge=0, lt=1)
    share: float = Field(default=1.0, ge=0, le=1)
    perturbation: Literal["own", "shuffled", "another's"] = "own"
    purifier: str = NONE
    purifying: dict[str, Any] = Field(default_factory=dict)
    trainer: str = "dreambooth"
    prompts: str = "plain"
    training: dict[str, Any] = Field(default_factory=dict)
    pictures: int | None = Field(default=None, ge=1)
    instance: str | None = None
    sheets: dict[str, Sheet] = Field(default_factory=dict)
    image_probes: tuple[str, ...] = ()

    @field_validator("eps", mode="before")
    @classmethod
    def _budget(cls, budget: Any) -> str:
        return str(Budget.parse(budget))

    @field_validator("settings", "purifying", "training")
    @classmethod
    def _finite(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if "class_name" in parameters:
            raise ValueError("class_name is the subject's own, and no parameter here")
        for name, value in parameters.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name}: expected a finite number, got {value}")
        return parameters

    @field_validator("instance")
    @classmethod
    def _filled(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("is blank: leave it out for the subject's own words, or name others")
        return text if text is None else check_template(text, CELL_WORDS)

    @model_validator(mode="after")
    def _each_in_its_place(self) -> Cell:
        """What has a field of its own would be another thing than the frame's columns say."""
        for name, fields in (("settings", ("eps", "seed")), ("training", ("prompts", "seed"))):
            for field in fields:
                if field in getattr(self, name):
                    place = "the experiment's seeds" if field == "seed" else f"the field {field}"
                    raise ValueError(f"{name} must not have {field!r}: it is said by {place}")
        if self.settings and self.attack == NONE:
            raise ValueError("settings are an attack's, and there is none")
        if self.purifying and self.purifier == NONE:
            raise ValueError("purifying is a purifier's, and there is none")
        return self

    @model_validator(mode="after")
    def _something_to_move(self) -> Cell:
        if self.attack == NONE and not self.at_home:
            raise ValueError("share and perturbation need an attack whose perturbation it is")
        return self

    @property
    def at_home(self) -> bool:
        """Whether every picture carries its own perturbation."""
        return self.share == 1 and self.perturbation == "own"


CLEAN = Cell()
"""Plain DreamBooth on clean pictures."""
OWN = Sheet()
"""The subject, in the words that the training gives."""
