"""What a probe of the pictures trained on is, and how one is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..cells import Cell
from ..metrics import Column
from ..models import Models
from ..registry import Registry, instance_of
from ..subjects import Subject

Measure = Callable[[Models, Subject, Cell, Tensor], dict[str, float]]


@dataclass(frozen=True)
class ImageProbe:
    """A measure of the pictures trained on, beside what the pipeline always measures.

    Attributes:
        measure: the models, the subject, the cell, and set B as it is to be trained on,
            (n, 3, H, W) in [0, 1], to one number per column (means over pictures).
        roles: the models that it reads where the profile names them.
        settings: what else its numbers depend on, as plain values.
        columns: what its columns are called, all of those that it may give.
    """

    measure: Measure
    roles: tuple[str, ...]
    settings: Callable[[Models, Subject, Cell], dict[str, Any]]
    columns: Mapping[str, Column]

    def gives(self, column: str) -> bool:
        """Whether a column is one of its own."""
        return column in self.columns


IMAGE_PROBES: Registry[ImageProbe] = Registry("image probe", instance_of(ImageProbe))
