"""What a training is in a recipe and in words, beside its pictures and its weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..cells import Cell
from ..errors import UserError
from ..personalize import PROMPTS
from ..profile import Profile
from ..store.code import code_of
from ..subjects import Subject
from ..templates import takes_an
from .base import settings_of


def training_params(
    profile: Profile,
    subject: Subject,
    trainer: Any,
    settings: dict[str, Any],
    instance: str | None,
) -> dict[str, Any]:
    """All that a training depends on beside pictures and weights.

    Args:
        trainer: as a lab gives it, with its models.
        settings: the trainer's, as plain values.
        instance: the cell's template of a prompt; None is the subject's own prompt.
    """
    words = {
        "instance": instance or subject.instance_prompt,
        "class": subject.class_prompt,
        "identifier": subject.identifier,
        "class_name": subject.class_name,
    }
    if instance:
        words["own"] = subject.instance_prompt
        if takes_an(instance, subject.class_name):
            words["article"] = "an"
    return {
        "trainer": trainer.name,
        "settings": settings,
        "sampling": profile.sampling,
        "prior": profile.prior_guidance_scale,
        "prompts": profile.prompts,
        "words": words,
        **_own_words(subject, trainer),
    } | code_of([type(settings_of(trainer)), type(trainer.method(subject))])


def _own_words(subject: Subject, trainer: Any) -> dict[str, dict[str, str]]:
    """What prompts of one's own say; those of the package say the same under their names."""
    if not code_of([PROMPTS[settings_of(trainer).prompts]]):
        return {}
    return {"own_words": asdict(trainer.words(subject))}


def in_words(cell: Cell) -> str:
    """How a cell trains, in a few words: "dreambooth plain steps=20"."""
    settings = [f"{name}={value}" for name, value in cell.training.items()]
    return " ".join([cell.trainer, cell.prompts, *settings])


def check_count(subject: Subject, cell: Cell) -> None:
    """Make sure that there are as many pictures as a cell's training asks for.

    Raises:
        UserError: sets B and A have fewer.
    """
    there = len(subject.b) + len(subject.a)
    if cell.pictures is not None and cell.pictures > there:
        raise UserError(
            f"{subject.name} has {there} pictures in sets B and A; a training on "
            f"{cell.pictures} was asked for: ask for fewer"
        )
