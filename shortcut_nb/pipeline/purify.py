"""Protected pictures under a purifier."""

from __future__ import annotations

import time

from torch import Tensor

from ..cells import CLEAN, NONE, PROFILE, Cell
from ..purify import kinds
from ..store import Payload, canonical, plain
from ..store.code import code_of
from ..subjects import Subject
from .base import Whose, photos_of, settings_of
from .node import Node, as_tuple
from .protect import Protecting


class Purifying(Protecting):
    """Purified pictures."""

    def images(self, subject: Whose, cell: Cell = CLEAN, seed: int = 0) -> Tensor:
        """Set B as the adversary trains on it, protected and purified: (n, 3, H, W) in [0, 1]."""
        subject = self._of(subject, cell)
        return self._pictures(subject, self.purify(subject, cell, seed))

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
