"""What a command makes once and keeps in the store, as far as the store can be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ..models.class_pictures import ClassPictures, latents_in, save_latents
from ..progress import progress
from ..store import Payload, Recipe, Store, StoreError

if TYPE_CHECKING:
    from torch import Tensor

    from ..lab import Lab

log = logging.getLogger("shortcut_nb")
T = TypeVar("T")


def make_or_warn(
    store: Store,
    recipe: Recipe,
    label: str,
    work: Callable[[], T],
    save: Callable[[Payload, T], None],
    read: Callable[[Payload], T],
) -> T:
    """What work gives: read from the store, or done and kept there.

    A store that cannot be written is said in one line, and nothing is done twice.

    Args:
        label: what is made, in a few words: "class pictures".
        save, read: write it into an output, and read it back.
    """
    fresh: list[T] = []

    def write(out: Payload) -> None:
        fresh.append(work())
        save(out, fresh[0])

    try:
        return read(store.make(recipe, write))
    except StoreError as error:
        log.warning("%s could not be kept: %s", label, error)
        return fresh[0] if fresh else work()


def keep_class_pictures(lab: Lab) -> None:
    """Let a lab keep its class pictures in the store, and show how far it is in drawing them.

    A store that cannot be written is said in one line, and they are drawn each time.
    """
    store = Store()

    def keep(drawn: ClassPictures) -> Tensor:
        def draw() -> Tensor:
            return lab.draw_class_pictures(drawn)

        recipe = drawn.recipe(lab)
        return make_or_warn(store, recipe, "class pictures", draw, save_latents, latents_in)

    lab.hooks = replace(lab.hooks, class_latents=keep, progress=progress)
