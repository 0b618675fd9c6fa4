"""What is trained on: set B under an attack, and then under a purifier."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..attacks import Attack
from ..budget import Budget
from ..cells import CLEAN, NONE, PROFILE, Cell
from ..models import Hooks
from ..purify import kinds
from ..store import Payload, Recipe, canonical, plain
from ..store.code import code_of
from ..subjects import Subject
from .base import Stages, Whose, photos_of, settings_of
from .node import Node, as_tuple
from .transplant import mixed, moved, neighbour, shuffled


class Pictures(Stages):
    """Protected pictures, and purified ones."""

    def images(self, subject: Whose, cell: Cell = CLEAN, seed: int = 0) -> Tensor:
        """Set B as the adversary trains on it, protected and purified: (n, 3, H, W) in [0, 1]."""
        subject = self._of(subject, cell)
        return self._pictures(subject, self.purify(subject, cell, seed))

    def protect(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """Set B under the cell's attack: whole, on a share of the pictures, or moved to others.

        None for clean pictures.
        """
        if cell.attack == NONE:
            return None
        if cell.clean_share:
            return self._partly(subject, cell, seed)
        make = self._attack if cell.at_home else self._move
        return make(subject, cell, seed)

    def _attack(self, subject: Subject, cell: Cell, seed: int) -> Node:
        params: dict[str, Any] = {"eps": cell.eps, "seed": seed} | cell.settings
        attack_key = f"{cell.attack} {canonical(params)}"
        attack = self.remember(
            ("attack", attack_key), lambda: self.lab.attack(cell.attack, **params)
        )
        about = f"protect {subject.name} {photos_of(cell)}"

        def node() -> Node:
            def write(out: Payload) -> None:
                result = attack(
                    subject, on_step=self.on_step(about), checkpoint=self.store.checkpoint(recipe)
                )
                out.save_images("images", result.images)
                out.save_json("cost", {"seconds": result.seconds})

            inputs = {"a": self._digest(subject, "a"), "b": self._digest(subject, "b")}
            words = {"prompt": subject.instance_prompt, "class": subject.class_prompt}
            settings = self.remember(("inputs", attack_key), attack.inputs)
            recipe = self._recipe("protect", {"attack": settings, "words": words}, inputs)
            needs = self._priors(attack.class_pictures(subject))
            other = attack.builds_on()
            if other:
                needs = (*needs, self._under(other, subject))
            return Node(recipe, needs, write, about)

        return self.remember(("protect", subject, attack_key), node)

    def _under(self, attack: Attack, subject: Subject) -> Node:
        """Set B under an attack that another one builds on."""
        settings = {"low_memory": True} if attack.low_memory else {}
        cell = Cell(attack=attack.name, eps=str(attack.eps), settings=settings)
        node = self._attack(subject, cell, attack.seed)
        return replace(node, of={"subject": subject.name, "cell": cell})

    def _protected(self, attack: Attack, subject: Subject) -> Tensor:
        return self._pictures(subject, self._under(attack, subject))

    def _hooks(self, before: Hooks) -> Hooks:
        return replace(super()._hooks(before), protected=self._protected)

    def _partly(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """Set B under the attack, but for its first pictures, a share of them, which stay clean."""
        alone = cell.model_copy(update={"clean_share": 0.0})
        whole = self.protect(subject, alone, seed)
        first = round(cell.clean_share * len(subject.images))
        if whole is None or first == 0:
            return whole

        def node() -> Node:
            def write(out: Payload) -> None:
                entry = self.make(whole)
                protected = entry.images("images")
                out.save_images("images", torch.cat([subject.images[:first], protected[first:]]))
                out.save_json("cost", entry.json("cost"))

            params = {"attack": whole.recipe.params["attack"], "clean": first}
            own = self._digest(subject, "b")
            inputs: dict[str, Recipe | str] = {"images": whole.recipe, "b": own}
            recipe = self._recipe("protect", params, inputs)
            needs = (replace(whole, of={"subject": subject.name, "cell": alone}),)
            return Node(recipe, needs, write, f"{whole.about}, {first} clean")

        return self.remember(("partly", whole.recipe.key, first), node)

    def _move(self, subject: Subject, cell: Cell, seed: int) -> Node:
        """Perturbations on a share of the pictures, or on others than they were made for."""
        donor = subject
        if cell.perturbation == "another's":
            donor = self.subject(neighbour(self.lab.profile.subjects, subject.name))
        alone = cell.model_copy(update={"share": 1.0, "perturbation": "own"})
        home = replace(self._attack(donor, alone, seed), of={"subject": donor.name, "cell": alone})

        def write(out: Payload) -> None:
            budget, clean = Budget.parse(cell.eps), subject.images
            images = self._pictures(donor, home)
            if cell.perturbation == "another's":
                images = moved(clean, images - donor.images, budget)
            elif cell.perturbation == "shuffled":
                images = shuffled(clean, images, budget)
            out.save_images("images", mixed(clean, images, cell.share, seed))
            out.save_json("cost", {"seconds": self._seconds(home)})

        how = {"attack": "moved", "of": cell.perturbation, "share": cell.share, "seed": seed}
        inputs: dict[str, Recipe | str] = {
            "images": home.recipe,
            "donor": self._digest(donor, "b"),
            "clean": self._digest(subject, "b"),
        }
        recipe = self._recipe("protect", {"attack": how | {"eps": cell.eps}}, inputs)
        about = f"move {subject.name} {photos_of(cell)}, {cell.perturbation} {cell.share:g}"
        return Node(recipe, (home,), write, about)

    def purify(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """The protected pictures under the cell's purifier; None where nothing was done at all."""
        before = self.protect(subject, cell, seed)
        spec = self.lab.profile.purifier if cell.purifier == PROFILE else cell.purifier
        if spec == NONE:
            return before
        purifier_key = f"{spec} {subject.class_name} {canonical(cell.purifying)}"
        purifier = self.remember(
            ("purifier", purifier_key),
            lambda: self.lab.purifier(spec, subject.class_name, **cell.purifying),
        )
        about = f"purify {subject.name} {photos_of(cell)}, {spec}"

        def node() -> Node:
            def write(out: Payload) -> None:
                images, started = self._pictures(subject, before), time.monotonic()
                out.save_images("images", purifier(images, on_step=self.on_step(about)))
                out.save_json("cost", {"seconds": time.monotonic() - started})

            needed = settings_of(purifier).roles
            params = {"purifier": spec, "settings": plain(settings_of(purifier))}
            params |= code_of(kinds(purifier))
            inputs = {"images": self._source(subject, before)} | self._weights(*needed)
            recipe = self._recipe("purify", params, inputs)
            return Node(recipe, as_tuple(before), write, about)

        return self.remember(("purify", subject, before and before.recipe.key, purifier_key), node)
