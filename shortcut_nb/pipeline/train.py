"""A model fine-tuned on the pictures: its weights, and the model itself."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..analysis.traits import traits
from ..cells import CLEAN, Cell
from ..files import writing
from ..personalize import Personalized
from ..personalize.methods import FullFineTuning, named
from ..profile import resolve
from ..store import Payload, Recipe, canonical, plain
from ..subjects import Subject
from ..templates import fill_words
from ..tuning.modes import in_own_arithmetic
from ..weights import IN_MEMORY
from ..weights.sizes import FLOAT32, trained_bytes
from .base import Whose, photos_of, settings_of
from .last_model import LastModel
from .node import Node, as_tuple
from .partway import Partway
from .pictures import Pictures
from .training_recipe import check_count, in_words, training_params

EVERY = 100  # training steps between checkpoints


class Training(Pictures):
    """Fine-tuned models, at the end or on the way."""

    _partway: Partway | None = None  # the training that was last stopped on the way

    @cached_property
    def _last(self) -> LastModel:
        """The fine-tuned model in memory, by its training's key, and a step on the way."""
        return LastModel()

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
        before = self.purify(subject, cell, seed)
        trainer_key, trainer = self._trainer(cell, seed)
        check_count(subject, cell)
        about = f"train {subject.name} {photos_of(cell, purified=True)}, {in_words(cell)}"

        def node() -> Node:
            def write(out: Payload) -> None:
                """Train, and leave the model in memory besides: see :meth:`_kept`."""
                self._last.clear()
                worded = self._with_words(subject, cell)
                images = self._trained_on(subject, before, cell)
                fitted = self._fit(recipe, trainer, worded, images, about)
                out.save_tensors("weights", trainer.pack(worded, fitted))
                out.save_json("training", {"seconds": fitted.seconds, "losses": fitted.losses})
                self.store.checkpoint(recipe).unlink(missing_ok=True)
                self._last.put(recipe.key, fitted)

            inputs = {"images": self._source(subject, before)} | self._weights("diffusion")
            if "{traits}" in (cell.instance or ""):
                inputs |= {
                    "seen": self._digest(subject, "b"),
                    "seer": self._weights("clip")["weights"],
                }
            settings = self.remember(("plain", trainer_key), lambda: plain(settings_of(trainer)))
            params = training_params(self.lab.profile, subject, trainer, settings, cell.instance)
            if cell.pictures not in (None, len(subject.b)):  # all of set B is the usual training
                inputs["more"] = self._digest(subject, "a")
                params["pictures"] = cell.pictures
            recipe = self._recipe("train", params, inputs)
            needs = *as_tuple(before), *self._priors(trainer.class_pictures(subject))
            return Node(recipe, needs, write, about)

        source = before and before.recipe.key
        key = ("train", subject, source, trainer_key, cell.instance, cell.pictures)
        return self.remember(key, node)

    def _with_words(self, subject: Subject, cell: Cell) -> Subject:
        """The subject under the words that the cell's training has for it."""
        if cell.instance is None:
            return subject
        words = self._words(subject)
        if "{traits}" in cell.instance:
            words["traits"] = traits(self.lab.clip, subject.images, subject.class_prompt)
        return replace(subject, instance_prompt=fill_words(cell.instance, words))

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
        node = self.train(subject, cell, seed)
        _, trainer = self._trainer(cell, seed)
        step = round(at * trainer.steps)
        key = f"{node.recipe.key} at {step}"
        model = self._last.get(key)
        if model is not None:
            return model
        self._last.clear()
        partway = self._partway_of(node.recipe)
        if partway is None:
            images = self._trained_on(subject, self.purify(subject, cell, seed), cell)
            worded = self._with_words(subject, cell)
            partway = self._partway = Partway(node.recipe.key, trainer, worded, images)
        return self._last.put(key, partway.at(step, self.on_step(node.about)))

    def _end(self, subject: Subject, cell: Cell, seed: int) -> Personalized:
        """The model at the end of its training: from memory, from the store, or trained."""
        node = self.train(subject, cell, seed)
        model = self._last.get(node.recipe.key)
        if model is not None:
            return model
        self._last.clear()
        how = self._kept if self.keeps(subject, cell, seed) else self._not_kept
        return self._last.put(node.recipe.key, how(node, subject, cell, seed))

    def _kept(self, node: Node, subject: Subject, cell: Cell, seed: int) -> Personalized:
        """A model whose weights the store keeps; they are trained first where they are not there.

        That training leaves its model in memory, so that it is not read back.
        """
        entry = self.make(node)
        just_trained = self._last.get(node.recipe.key)
        if just_trained is not None:
            return just_trained
        _, trainer = self._trainer(cell, seed)
        training = entry.json("training")
        return trainer.unpack(
            self._with_words(subject, cell),
            entry.tensors("weights"),
            training["seconds"],
            training["losses"],
        )

    def _not_kept(self, node: Node, subject: Subject, cell: Cell, seed: int) -> Personalized:
        """A model too large for the store to keep, trained each time.

        Checkpoints are as large: there is none but where a look on the way left one, or an earlier
        run that kept such models.
        """
        _, trainer = self._trainer(cell, seed)
        images = self._trained_on(subject, self.purify(subject, cell, seed), cell)
        worded = self._with_words(subject, cell)
        checkpoint = self.store.checkpoint(node.recipe)
        if not checkpoint.exists() and self._partway_of(node.recipe) is None:
            return trainer.fit(worded, images, on_step=self.on_step(node.about))
        fitted = self._fit(node.recipe, trainer, worded, images, node.about)
        checkpoint.unlink(missing_ok=True)
        return fitted

    def _fit(
        self, recipe: Recipe, trainer: Any, subject: Subject, images: Tensor, about: str
    ) -> Personalized:
        """A training to its end, from where a look on the way or a killed run left it.

        Its checkpoint is left for the caller to delete, once what it wants is kept.
        """
        checkpoint = self.store.checkpoint(recipe)
        partway = self._partway_of(recipe)
        if partway is not None:
            if partway.path.exists():
                with writing(checkpoint) as fresh:
                    shutil.move(partway.path, fresh)
            self._partway = None
        return trainer.fit(
            subject, images, on_step=self.on_step(about), checkpoint=checkpoint, every=EVERY
        )

    def _partway_of(self, recipe: Recipe) -> Partway | None:
        """The training that was last stopped on the way, where it is this recipe's."""
        partway = self._partway
        return partway if partway is not None and partway.key == recipe.key else None

    def _trainer(self, cell: Cell, seed: int) -> tuple[str, Any]:
        """What the cell's trainer is remembered by, and the trainer."""
        params: dict[str, Any] = {"prompts": cell.prompts, "seed": seed} | cell.training
        trainer_key = f"{cell.trainer} {canonical(params)}"
        trainer = self.remember(
            ("trainer", trainer_key), lambda: self.lab.personalize(cell.trainer, **params)
        )
        return trainer_key, trainer

    def _trained_on(self, subject: Subject, node: Node | None, cell: Cell) -> Tensor:
        """The pictures of a cell's training, as many as it asks for: set B, then set A."""
        images = self._pictures(subject, node)
        if cell.pictures is None:
            return images
        return torch.cat([images, subject.a])[: cell.pictures]
