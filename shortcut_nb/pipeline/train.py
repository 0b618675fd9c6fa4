"""A model fine-tuned on the pictures: its weights, and the model itself."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..analysis.traits import traits
from ..cells import CLEAN, Cell
from ..errors import UserError
from ..files import writing
from ..personalize import PROMPTS, Personalized
from ..personalize.methods import FullFineTuning, named
from ..profile import resolve
from ..store import Payload, Recipe, canonical, plain
from ..store.code import code_of
from ..subjects import Subject
from ..tuning.modes import in_own_arithmetic
from ..weights import IN_MEMORY
from ..weights.sizes import FLOAT32, trained_bytes
from .base import Whose, photos_of, settings_of
from .node import Node, as_tuple
from .partway import Partway
from .purify import Purifying

EVERY = 100  # training steps between checkpoints


class Training(Purifying):
    """Fine-tuned models, at the end or on the way."""

    _last: tuple[str, Personalized] | None = None  # the model in memory, by its key
    _partway: Partway | None = None

    @in_own_arithmetic
    def model(
        self, subject: Whose, cell: Cell = CLEAN, seed: int = 0, at: float | None = None
    ) -> Personalized:
        """The model fine-tuned on :meth:`images`; or as it was after a share of the training.

        Raises:
            UserError: there is no such subject, or the cell is none.
        """
        whose = self._of(subject, cell)
        with self.keeping():
            return self._end(whose, cell, seed) if at is None else self._at(whose, cell, seed, at)

    def train(self, subject: Subject, cell: Cell, seed: int) -> Node:
        """The weights that fine-tuning changed, in safetensors.

        Raises:
            UserError: the cell asks for more pictures than the subject has.
        """
        before, (named, trainer) = self.purify(subject, cell, seed), self._trainer(cell, seed)
        _check_count(subject, cell)
        photos = photos_of(cell, purified=True)
        how = " ".join(
            [cell.trainer, cell.prompts, *(f"{k}={v}" for k, v in cell.training.items())]
        )
        about = f"train {subject.name} {photos}, {how}"

        def node() -> Node:
            def write(out: Payload) -> None:
                self._last, known = None, self._with_words(subject, cell)
                images = self._trained_on(subject, before, cell)
                fitted = self._fit(recipe, trainer, known, images, about)
                out.save_tensors("weights", trainer.pack(known, fitted))
                out.save_json("training", {"seconds": fitted.seconds, "losses": fitted.losses})
                self.store.checkpoint(recipe).unlink(missing_ok=True)
                self._last = (recipe.key, fitted)

            inputs = {"images": self._source(subject, before)} | self._weights("diffusion")
            if "{traits}" in (cell.instance or ""):
                inputs |= {
                    "seen": self._digest(subject, "b"),
                    "seer": self._weights("clip")["weights"],
                }
            params = self._training(subject, named, trainer, cell.instance)
            if cell.pictures not in (None, len(subject.b)):  # all of set B is the usual training
                inputs["more"] = self._digest(subject, "a")
                params["pictures"] = cell.pictures
            recipe = self._recipe("train", params, inputs)
            needs = *as_tuple(before), *self._priors(trainer.class_pictures(subject))
            return Node(recipe, needs, write, about)

        how = (named, cell.instance, cell.pictures)
        return self.remember(("train", subject, before and before.recipe.key, *how), node)

    def _with_words(self, subject: Subject, cell: Cell) -> Subject:
        """The subject under the words that the cell's training has for it."""
        if cell.instance is None:
            return subject
        words = self._words(subject)
        if "{traits}" in cell.instance:
            words["traits"] = traits(self.lab.clip, subject.images, subject.class_prompt)
        return replace(subject, instance_prompt=cell.instance.format(**words))

    def _words(self, subject: Subject) -> dict[str, str]:
        """What the fields of a sheet's or a cell's prompt are filled with."""
        return {
            "identifier": subject.identifier,
            "class_name": subject.class_name,
            "instance": subject.instance_prompt,
            "class_prompt": subject.class_prompt,
            "negative": self.lab.profile.prompts.negative,
            "noise_token": self.lab.profile.prompts.noise_token,
        }

    def keeps(self, subject: Subject, cell: Cell, seed: int) -> bool:
        """Whether the trained weights are small enough to be kept, as the models' files tell."""
        _, trainer = self._trainer(cell, seed)
        full = isinstance(trainer.method(subject), FullFineTuning)
        return not full or self._full_megabytes <= self.keep_trained

    @cached_property
    def _full_megabytes(self) -> float:
        """Of the weights that full fine-tuning changes, as files tell, or else the open model."""
        if not self.lab.profile.diffusion.id.startswith(IN_MEMORY):
            return trained_bytes(resolve(self.lab.profile.diffusion)) / 1e6
        return FLOAT32 * sum(each.numel() for each in named(self.lab.diffusion).values()) / 1e6

    def _at(self, subject: Subject, cell: Cell, seed: int, at: float) -> Personalized:
        """The model on the way; rising shares of one training go on from one another."""
        node, (_, trainer) = self.train(subject, cell, seed), self._trainer(cell, seed)
        step = round(at * trainer.steps)
        place = f"{node.recipe.key} at {step}"
        if self._last is None or self._last[0] != place:
            self._last = None  # one model at a time beside the lab's own
            if not self._is_partway(node.recipe):
                before = self.purify(subject, cell, seed)
                images, worded = (
                    self._trained_on(subject, before, cell),
                    self._with_words(subject, cell),
                )
                self._partway = Partway(node.recipe.key, trainer, worded, images)
            assert self._partway is not None
            self._last = (place, self._partway.at(step, self.on_step(node.about)))
        return self._last[1]

    def _end(self, subject: Subject, cell: Cell, seed: int) -> Personalized:
        node, (_, trainer) = self.train(subject, cell, seed), self._trainer(cell, seed)
        if self._last is not None and self._last[0] == node.recipe.key:
            return self._last[1]
        self._last = None  # one model at a time beside the lab's own
        if self.keeps(subject, cell, seed):
            entry = self.make(node)
            if self._last is None:
                about = entry.json("training")
                fitted = trainer.unpack(
                    self._with_words(subject, cell),
                    entry.tensors("weights"),
                    about["seconds"],
                    about["losses"],
                )
                self._last = (node.recipe.key, fitted)
        else:
            images = self._trained_on(subject, self.purify(subject, cell, seed), cell)
            known = self._with_words(subject, cell)
            killed = self.store.checkpoint(node.recipe).exists()
            if killed or self._is_partway(node.recipe):
                fitted = self._fit(node.recipe, trainer, known, images, node.about)
                self.store.checkpoint(node.recipe).unlink(missing_ok=True)
            else:  # too large to be kept, and so are its checkpoints
                fitted = trainer.fit(known, images, on_step=self.on_step(node.about))
            self._last = (node.recipe.key, fitted)
        return self._last[1]

    def _fit(
        self, recipe: Recipe, trainer: Any, subject: Subject, images: Tensor, about: str
    ) -> Personalized:
        """A training to its end, from where a look on the way or a killed run left it.

        Its checkpoint is left for the caller to delete, once what it wants is kept.
        """
        checkpoint = self.store.checkpoint(recipe)
        if self._partway is not None and self._is_partway(recipe):
            if self._partway.path.exists():
                with writing(checkpoint) as fresh:
                    shutil.move(self._partway.path, fresh)
            self._partway = None
        return trainer.fit(
            subject, images, on_step=self.on_step(about), checkpoint=checkpoint, every=EVERY
        )

    def _is_partway(self, recipe: Recipe) -> bool:
        return self._partway is not None and self._partway.key == recipe.key

    def _trainer(self, cell: Cell, seed: int) -> tuple[str, Any]:
        """The cell's trainer, and what it is remembered by."""
        params: dict[str, Any] = {"prompts": cell.prompts, "seed": seed} | cell.training
        named = f"{cell.trainer} {canonical(params)}"
        trainer = self.remember(
            ("trainer", named), lambda: self.lab.personalize(cell.trainer, **params)
        )
        return named, trainer

    def _training(
        self, subject: Subject, named: str, trainer: Any, instance: str | None
    ) -> dict[str, Any]:
        """All that a training depends on beside pictures and weights."""
        profile = self.lab.profile
        words = {
            "instance": instance or subject.instance_prompt,
            "class": subject.class_prompt,
            "identifier": subject.identifier,
            "class_name": subject.class_name,
        }
        if instance:
            words["own"] = subject.instance_prompt
        return {
            "trainer": trainer.name,
            "settings": self.remember(("plain", named), lambda: plain(settings_of(trainer))),
            "sampling": profile.sampling,
            "prior": profile.prior_guidance_scale,
            "prompts": profile.prompts,
            "words": words,
            **self._own_words(subject, trainer),
        } | code_of([type(settings_of(trainer)), type(trainer.method(subject))])

    def _own_words(self, subject: Subject, trainer: Any) -> dict[str, dict[str, str]]:
        """What prompts of one's own say; those of the package say the same under their names."""
        if not code_of([PROMPTS[settings_of(trainer).prompts]]):
            return {}
        return {"own_words": asdict(trainer.words(subject))}

    def _trained_on(self, subject: Subject, node: Node | None, cell: Cell) -> Tensor:
        """The pictures of a cell's training, as many as it asks for: set B, then set A."""
        images = self._pictures(subject, node)
        if cell.pictures is None:
            return images
        return torch.cat([images, subject.a])[: cell.pictures]


def _check_count(subject: Subject, cell: Cell) -> None:
    """Raise a UserError when a cell's training asks for more pictures than there are."""
    there = len(subject.b) + len(subject.a)
    if cell.pictures is not None and cell.pictures > there:
        raise UserError(
            f"{subject.name} has {there} pictures in sets B and A; a training on "
            f"{cell.pictures} was asked for: ask for fewer"
        )
