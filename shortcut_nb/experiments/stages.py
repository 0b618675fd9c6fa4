"""The stages as notebooks ask for them, by a short cell; kept by the one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from .. import cells
from ..lab import Lab
from ..pipeline import Pipeline
from ..purify import roles
from ..store import Entry, Payload, Recipe, Store, digest
from ..subjects import Subject

CLASS = cells.Sheet(of="class")
NEGATIVE = cells.Sheet(negative="{negative}")


@dataclass(frozen=True)
class Cell:
    """A short form of :class:`shortcut_nb.cells.Cell`.

    Args:
        attack: name of an attack, or None for clean pictures.
        purifier: name or chain, or None.
        prompts: "plain" or "cdl".
        settings: further parameters of the attack, as (name, value) pairs.
        control: also sample the instance prompt with the profile's negative prompt.
        trainer: name of a trainer.
        training: further parameters of it, as (name, value) pairs.
    """

    attack: str | None = None
    eps: str = "16/255"
    purifier: str | None = None
    prompts: str = "plain"
    settings: tuple[tuple[str, Any], ...] = ()
    control: bool = False
    trainer: str = "dreambooth"
    training: tuple[tuple[str, Any], ...] = ()

    @property
    def full(self) -> cells.Cell:
        """The cell as the pipeline takes it."""
        return cells.Cell(
            attack=self.attack or cells.NONE,
            eps=self.eps,
            settings=dict(self.settings),
            purifier=self.purifier or cells.NONE,
            trainer=self.trainer,
            prompts=self.prompts,
            training=dict(self.training),
            sheets={"negative": NEGATIVE} if self.control else {},
        )


class Stages:
    """Runs stages for one lab and remembers them in a store.

    A second run with the same pictures, parameters and weights reads what the first one made.
    """

    def __init__(self, lab: Lab, store: Store | None = None) -> None:
        self.pipeline = Pipeline(lab, store)
        self.lab, self.store = lab, self.pipeline.store

    def inputs(self, *roles: str, **more: object) -> dict[str, object]:
        """The weights of some roles and the arithmetic; and what else a stage depends on."""
        arithmetic = f"{self.lab.device.type} {self.lab.autocast}"
        return {"weights": self.lab.digest(*roles), "arithmetic": arithmetic} | more

    def cached(
        self,
        stage: str,
        params: Any,
        inputs: Mapping[str, Any],
        make: Callable[[Payload], None],
        version: str = "1",
    ) -> Entry:
        """A stage's output, by what goes in; text stands for itself, all else for its content."""
        named = {name: x if isinstance(x, str) else digest(x) for name, x in inputs.items()}
        return self.store.make(Recipe(stage, version, params, named), make)

    def protect(self, subject: Subject, cell: Cell, seed: int) -> Tensor:
        """Set B under the cell's attack, (n, 3, H, W); set B itself without one."""
        return self.pipeline.images(subject, replace(cell, purifier=None).full, seed)

    def purify(self, images: Tensor, cell: Cell, class_name: str | None = None) -> Made:
        """Any pictures under the cell's purifier, as a PNG would keep them."""
        if cell.purifier is None:
            return Made(images)
        purifier = self.lab.purifier(cell.purifier, class_name)

        def make(out: Payload) -> None:
            on_step = self.pipeline.on_step(str(cell.purifier))
            out.save_images("images", purifier(images, on_step=on_step))

        inputs = self.inputs(*roles(purifier), images=images)
        entry = self.cached("purified", {"purifier": repr(purifier)}, inputs, make)
        return Made(entry.images("images"))


@dataclass(frozen=True, eq=False)
class Made:
    """Pictures (n, 3, H, W) that a stage made."""

    images: Tensor
