"""One output of a stage: what names it, what it needs, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..store import Payload, Recipe


@dataclass(frozen=True, eq=False)
class Node:
    """One output to be made.

    Attributes:
        recipe: names it.
        needs: what goes in; none where pictures or models of the profile are all.
        write: makes it, through the payload it is given.
        about: a few words for people: stage, subject and settings.
        group: outputs of one group are made one after the other in one process, "" is none: the
            samples of a model that is too large to be kept, which is so trained for them once.
        of: what this output is of, where that differs from the output that needs it: its "subject"
            (a name), "cell" or "sheet"; for class pictures how they are "drawn".
    """

    recipe: Recipe
    needs: tuple[Node, ...]
    write: Callable[[Payload], None]
    about: str
    group: str = ""
    of: Mapping[str, Any] = field(default_factory=dict)


def as_tuple(node: Node | None) -> tuple[Node, ...]:
    """What an output needs, as :attr:`Node.needs` has it: one node, or none."""
    return () if node is None else (node,)
