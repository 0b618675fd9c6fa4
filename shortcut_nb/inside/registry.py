"""Probes of a model by name, and what one must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..cells import Cell
from ..metrics import Column
from ..registry import Registry
from ..subjects import Subject

if TYPE_CHECKING:
    from ..pipeline.node import Node
    from ..pipeline.train import Training
    from ..store import Recipe


class ModelProbe(Protocol):
    """A look inside a fine-tuned model or its training.

    It is a frozen dataclass whose fields are its settings.

    Attributes:
        columns: what its columns are called, all of those that it may give beside ``sheet``.
    """

    columns: ClassVar[Mapping[str, Column]]

    def recipes(
        self, pipeline: Training, subject: Subject, cell: Cell, seed: int
    ) -> tuple[Recipe, ...]:
        """What it depends on, which names its output."""
        ...

    def needs(
        self, pipeline: Training, subject: Subject, cell: Cell, seed: int
    ) -> tuple[Node, ...]:
        """The outputs that :meth:`measure` reads."""

    def measure(
        self, pipeline: Training, subject: Subject, cell: Cell, seed: int, n: int
    ) -> dict[str, list[Any]]:
        """Columns of a frame. A column ``sheet`` says what each row is of; NaN is "no value"."""


def _without_columns(thing: Any) -> str:
    """What a registry refuses: what is measured must be known before it is."""
    described = isinstance(getattr(thing, "columns", None), Mapping)
    return "" if described else "must say its columns, a Column by each name"


MODEL_PROBES: Registry[type[ModelProbe]] = Registry("model probe", _without_columns)
register = MODEL_PROBES.register
