"""Set B under an attack: whole, on a share of the pictures, or moved to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..attacks import Attack
from ..budget import Budget
from ..cells import NONE, Cell
from ..errors import UserError
from ..store import Payload, Recipe, canonical
from ..subjects import Subject
from .base import Stages, photos_of
from .node import Node
from .transplant import mixed, moved, shuffled


class Protecting(Stages):
    """Protected pictures."""

    def protect(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """Set B under the cell's attack; None for clean pictures."""
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


def neighbour(names: Sequence[str], name: str) -> str:
    """The next of a profile's subjects after one, whose perturbation is borrowed.

    Raises:
        UserError: there is no other.
    """
    start = names.index(name) + 1 if name in names else 0
    others = [each for each in [*names[start:], *names[:start]] if each != name]
    if not others:
        raise UserError(
            "another subject's perturbation is wanted, and the profile names no other: list two "
            "under subjects:"
        )
    return others[0]
