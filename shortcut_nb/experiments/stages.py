"""The stages of an experiment, each kept in the store: protect, purify, personalise, score."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..lab import Lab
from ..personalize import PROMPTS
from ..progress import progress
from ..purify import roles
from ..store import Entry, Payload, Recipe, Store, digest
from ..subjects import Subject

VERSION = "2"


@dataclass(frozen=True)
class Cell:
    """One cell of an experiment: how pictures are treated before and during fine-tuning.

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
        self.lab, self.store = lab, store or Store()
        lab.keep_prior = self._prior  # class pictures are the same for every subject and process

    def inputs(self, *roles: str, **more: object) -> dict[str, object]:
        """The weights of some roles and the arithmetic; and what else a stage depends on."""
        arithmetic = f"{self.lab.device.type} {self.lab.autocast}"
        return {"weights": self.lab.digest(*roles), "arithmetic": arithmetic} | more

    def cached(
        self, stage: str, params: Any, inputs: Mapping[str, Any], make: Callable[[Payload], None],
        version: str = "1",
    ) -> Entry:  # fmt: skip
        """A stage's output, by what goes in; text stands for itself, all else for its content."""
        named = {name: x if isinstance(x, str) else digest(x) for name, x in inputs.items()}
        return self.store.make(Recipe(stage, version, params, named), make)

    def _prior(self, role: str, how: dict[str, Any], draw: Callable[[], Tensor]) -> Tensor:
        def make(out: Payload) -> None:
            out.save_tensors("prior", {"latents": draw()})

        inputs = self.inputs("diffusion", role)  # which may lend its VAE and text encoder
        return self.cached("prior", how, inputs, make).tensors("prior")["latents"]

    def protect(self, subject: Subject, cell: Cell, seed: int) -> Tensor:
        """Set B under the cell's attack, (n, 3, H, W); set B itself without one."""
        return self.protected(subject, cell, seed).images

    def protected(self, subject: Subject, cell: Cell, seed: int) -> Made:
        """Set B under the cell's attack, and what the attack took."""
        if cell.attack is None:
            return Made(subject.images, 0.0)
        attack = self.lab.attack(cell.attack, eps=cell.eps, seed=seed, **dict(cell.settings))

        def make(out: Payload) -> None:
            result = attack(subject, on_step=progress(f"{cell.attack} {cell.eps}"))
            out.save_images("images", result.images)
            out.save_json("cost", {"seconds": result.seconds})

        inputs = {
            "a": subject.a, "b": subject.b, "prompt": subject.instance_prompt,
            "cls": subject.class_prompt,
        }  # fmt: skip
        entry = self.cached("protect", attack.inputs(), inputs, make, VERSION)
        return Made(entry.images("images"), entry.json("cost")["seconds"])

    def purify(self, images: Tensor, cell: Cell, class_name: str | None = None) -> Made:
        """The pictures under the cell's purifier as a PNG would keep them, and what it took."""
        if cell.purifier is None:
            return Made(images, 0.0)
        purifier = self.lab.purifier(cell.purifier, class_name)

        def make(out: Payload) -> None:
            started = time.monotonic()
            out.save_images("images", purifier(images, on_step=progress(str(cell.purifier))))
            out.save_json("cost", {"seconds": time.monotonic() - started})

        inputs = self.inputs(*roles(purifier), images=images)
        params = {"purifier": repr(purifier)}
        entry = self.cached("purify", params, inputs, make, "3")
        return Made(entry.images("images"), entry.json("cost")["seconds"])

    def prepare(self, subject: Subject, cell: Cell, seed: int) -> Tensor:
        """Protect, then purify: what the adversary trains on."""
        return self.purify(self.protect(subject, cell, seed), cell, subject.class_name).images

    def personalise(self, subject: Subject, cell: Cell, seed: int, n: int = 8) -> Samples:
        """Fine-tune on the prepared pictures; sample the subject and the class; score both."""
        images = self.prepare(subject, cell, seed)
        trainer = self.lab.personalize(
            cell.trainer, prompts=cell.prompts, seed=seed, **dict(cell.training)
        )

        def make(out: Payload) -> None:
            label = f"{subject.name} {cell.attack or 'clean'} {cell.purifier or ''} {cell.prompts}"
            fitted = trainer.fit(subject, images, on_step=progress(label))
            out.save_json("cost", {"seconds": fitted.seconds})
            out.save_images("instance", fitted.sample(n, seed=seed))
            out.save_images(
                "class", fitted.sample(n, seed=seed, prompt=fitted.prompts.sample_class)
            )
            if cell.control:
                out.save_images("negative", fitted.sample(n, seed=seed, negative=words.negative))

        words = self.lab.profile.prompts
        inputs = self.inputs("diffusion", images=images)
        params = {
            "trainer": trainer, "n": n, "sampling": self.lab.profile.sampling,
            "prior": self.lab.profile.prior_guidance_scale,
            "words": PROMPTS[cell.prompts](subject, words.noise_token, words.negative),
            "negative": words.negative, "class_prompt": subject.class_prompt,
            "control": cell.control,
        }  # fmt: skip
        entry = self.cached("personalise", params, inputs, make, VERSION)
        control = entry.images("negative") if cell.control else None
        seconds = entry.json("cost")["seconds"]
        return Samples(entry.images("instance"), entry.images("class"), control, images, seconds)

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
    """Pictures (n, 3, H, W) that a stage made, and the seconds it took when it was run."""

    images: Tensor
    seconds: float


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
