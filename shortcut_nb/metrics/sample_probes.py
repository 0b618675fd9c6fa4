"""What a probe of samples is, and how one is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from ..registry import Registry, instance_of
from .base import Column

Measure = Callable[[Any, Tensor, Tensor], dict[str, list[float]]]


@dataclass(frozen=True)
class SampleProbe:
    """A measure of samples beside the metrics, which an experiment asks for by name.

    Attributes:
        measure: the models, the samples (n, 3, H, W) and the references (m, 3, H, W), both in
            [0, 1], to one list of n numbers per column.
        roles: the models that it reads; the profile must name them.
        columns: what its columns are called.
        references: "set C", clean pictures of the person, or "clean training", samples of plain
            training on clean pictures, asked for by the subject's own prompt (or the class's, if
            the sheet is of the class), whatever else the sheet says.
        prefix: what further columns begin with, where a model decides how many there are; "" where
            there are none.
        settings: what else its numbers depend on, as plain values.
    """

    measure: Measure
    roles: tuple[str, ...]
    columns: Mapping[str, Column]
    references: Literal["set C", "clean training"] = "set C"
    prefix: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def gives(self, column: str) -> bool:
        """Whether a column is one of its own."""
        return column in self.columns or bool(self.prefix and column.startswith(self.prefix))


SAMPLE_PROBES: Registry[SampleProbe] = Registry("sample probe", instance_of(SampleProbe))
