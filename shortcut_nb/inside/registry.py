"""Probes of a model by name, and what one must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..cells import Cell
from ..registry import Registry
from ..subjects import Subject

if TYPE_CHECKING:
    from ..pipeline.node import Node
    from ..pipeline.train import Training
    from ..store import Recipe


class ModelProbe(Protocol):
    """A look inside a fine-tuned model or its training.

    It is a frozen dataclass whose fields are its settings.
    """

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


MODEL_PROBES: Registry[type[ModelProbe]] = Registry("model probe")
register = MODEL_PROBES.register
