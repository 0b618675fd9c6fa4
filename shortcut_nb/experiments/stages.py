"""The stages as notebooks ask for them, by a short cell; kept by the one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from torch import Tensor

from .. import cells
from ..analysis.clip_shift import clip_shift
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


STORY = {
    "clean": Cell(),
    "random noise": Cell("noise"),
    "protected": Cell("aspl", control=True),
    "purified": Cell("aspl", purifier="restorer"),
    "cdl": Cell("aspl", prompts="cdl"),
    "purified + cdl": Cell("aspl", purifier="restorer", prompts="cdl"),
}
"""The conditions of the argument, by the name they have in every figure."""


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

    def prepare(self, subject: Subject, cell: Cell, seed: int) -> Tensor:
        """Protect, then purify: what the adversary trains on."""
        return self.pipeline.images(subject, cell.full, seed)

    def personalise(self, subject: Subject, cell: Cell, seed: int, n: int = 8) -> Samples:
        """Fine-tune on the prepared pictures; sample the subject and the class."""
        full, ask = cell.full, self.pipeline.samples
        own = self.pipeline.make(self.pipeline.sample(subject, full, seed, cells.OWN, n))
        of_class = ask(subject, full, seed, CLASS, n)
        control = ask(subject, full, seed, NEGATIVE, n) if cell.control else None
        trained_on = self.prepare(subject, cell, seed)
        seconds = own.json("cost")["train_seconds"]
        return Samples(own.images("images"), of_class, control, trained_on, seconds)

    def score(self, subject: Subject, samples: Samples) -> pd.DataFrame:
        """One row per sample, every prompt: metrics and place on the person-noise axis of CLIP."""
        parts = []
        sheets = {"instance": samples.instance, "class": samples.class_}
        if samples.negative is not None:
            sheets["negative"] = samples.negative
        for prompt, drawn in sheets.items():
            frame = self.lab.score(drawn, subject)
            concept, noise = self.lab.profile.concepts[:2]
            shift = clip_shift(self.lab.clip, drawn, concept, noise)
            parts.append(frame.assign(prompt=prompt, noise=1 - shift["concept_probability"]))
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Made:
    """Pictures (n, 3, H, W) that a stage made."""

    images: Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of a fine-tuned model, and the pictures it was trained on.

    ``negative`` are the instance prompt's samples with CDL's negative prompt, where the cell asks
    for this control: it tells the negative prompt's share from the training's. ``seconds`` is
    what the fine-tuning took when it was run.
    """

    instance: Tensor
    class_: Tensor
    negative: Tensor | None
    trained_on: Tensor
    seconds: float


def story_cells(eps: str, purifier: str, names: list[str] | None = None) -> dict[str, Cell]:
    """The cells of the story at a budget with the profile's purifier, all or those named.

    Raises:
        KeyError: for a name that is not in :data:`STORY`.
    """
    chosen = {name: STORY[name] for name in names or STORY}
    return {
        name: replace(cell, eps=eps, purifier=purifier if cell.purifier else None)
        for name, cell in chosen.items()
    }
