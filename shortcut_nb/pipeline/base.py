"""What all stages share: a lab, a store, recipes, and a memory of what was asked before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..cells import NONE, Cell
from ..errors import WrongType
from ..lab import Lab
from ..models import Hooks
from ..models.class_pictures import ClassPictures, latents_in, save_latents
from ..profile import Profile
from ..progress import OnStep, progress
from ..store import Entry, Payload, Recipe, Store, digest
from ..subjects import Subject
from ..tuning.modes import in_own_arithmetic
from .node import Node

Whose = Subject | str | Path
"""A subject, or what a lab opens one from: a name or a folder."""
VERSIONS = {"protect": "3", "purify": "4", "train": "1", "sample": "1", "probe": "2"}


class Stages:
    """What every stage builds on: a lab, a store, recipes and class pictures.

    Arguments are those of :class:`.Pipeline`.
    """

    def __init__(
        self,
        lab: Lab | str | Path | Profile,
        store: Store | str | Path | None = None,
        on_step: Callable[[str], OnStep] | None = None,
        keep_trained: float | None = None,
    ) -> None:
        self.lab = lab = lab if isinstance(lab, Lab) else Lab(lab)
        self.store = store if isinstance(store, Store) else Store(store)
        self.on_step = on_step or progress
        self.keep_trained = lab.profile.keep_trained_mb if keep_trained is None else keep_trained
        self._memory: dict[tuple[Any, ...], Any] = {}

    @in_own_arithmetic
    def make(self, node: Node) -> Entry:
        """A node's output: read, or made from what it needs and kept."""
        with self.keeping():
            return self.store.make(node.recipe, node.write)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """For the block the lab reads class pictures and protected pictures from this store.

        What is missing there is made and kept. After the block the lab does as it did before: a
        pipeline lays no claim to a lab that others use too.
        """
        before = self.lab.hooks
        self.lab.hooks = self._hooks(before)
        try:
            yield
        finally:
            self.lab.hooks = before

    def _hooks(self, before: Hooks) -> Hooks:
        """The lab's hooks in that block; a stage that a lab may ask for adds its own."""
        return replace(before, class_latents=self._prior)

    def _of(self, subject: Whose, cell: Cell) -> Subject:
        """The subject, opened where it is named.

        Raises:
            WrongType: the cell is none.
            UserError: there is no such subject.
        """
        if not isinstance(cell, Cell):
            raise WrongType(f"expected a Cell, such as Cell(attack='aspl'); got {cell!r}")
        return self.subject(subject)

    def subject(self, whose: Whose) -> Subject:
        """A subject as it is; by name or from a folder, opened once."""
        if isinstance(whose, Subject):
            return whose
        return self.remember(("subject", str(whose)), lambda: self.lab.subject(whose))

    def prior(self, drawn: ClassPictures) -> Node:
        """Latents of class pictures, which trainings and surrogates of all subjects share."""

        def node() -> Node:
            def write(out: Payload) -> None:
                save_latents(out, self.lab.draw_class_pictures(drawn))

            about = f"prior {drawn.n} × {drawn.prompt}"
            return Node(drawn.recipe(self.lab), (), write, about, of={"drawn": drawn})

        return self.remember(("prior", drawn), node)

    def _priors(self, every: Sequence[ClassPictures]) -> tuple[Node, ...]:
        return tuple(self.prior(drawn) for drawn in every)

    def _prior(self, drawn: ClassPictures) -> Tensor:
        return latents_in(self.make(self.prior(drawn)))

    def remember(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What ``make`` gave the first time it was asked for this key."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    def _recipe(self, stage: str, params: Any, inputs: Mapping[str, Recipe | str]) -> Recipe:
        every = {**inputs, "arithmetic": self._arithmetic}
        return Recipe(stage, VERSIONS[stage], params, every)

    @property
    def _arithmetic(self) -> str:
        return f"{self.lab.device.type} {self.lab.autocast}"

    def _weights(self, *roles: str) -> dict[str, str]:
        if not roles:
            return {}
        return {"weights": self.remember(("weights", roles), lambda: self.lab.digest(*roles))}

    def _digest(self, subject: Subject, name: str) -> str:
        return self.remember(("digest", subject, name), lambda: digest(getattr(subject, name)))

    def _source(self, subject: Subject, node: Node | None) -> Recipe | str:
        return node.recipe if node else self._digest(subject, "b")

    def _pictures(self, subject: Subject, node: Node | None) -> Tensor:
        return self.make(node).images("images") if node else subject.images

    def _seconds(self, node: Node | None) -> float:
        return self.make(node).json("cost")["seconds"] if node else 0.0

    def _has(self, role: str) -> bool:
        return role in self.lab.profile.models()


def settings_of(bound: Any) -> Any:
    """The settings of an attack, purifier or trainer that a lab has given its models."""
    return getattr(bound, "settings", bound)


def photos_of(cell: Cell, purified: bool = False) -> str:
    """What is trained on, in a few words: "clean photos", "aspl 16/255, 4 pictures, restorer"."""
    parts = ["clean photos" if cell.attack == NONE else f"{cell.attack} {cell.eps}"]
    if cell.pictures is not None:
        parts.append(f"{cell.pictures} pictures")
    if purified and cell.purifier != NONE:
        parts.append(cell.purifier)
    return ", ".join(parts)
