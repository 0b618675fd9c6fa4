"""What a metric is: pictures in, one number per picture out, under column names with labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from torch import Tensor

from ..errors import UserError

Needs = Literal["nothing", "subject", "originals"]


@dataclass(frozen=True)
class Column:
    """What a column of numbers is called wherever it is shown: tables, axes, legends.

    Args:
        label: a short name in words.
        unit: "dB", "s", "grey levels"; "" for a number without one.
        better: whether "higher" or "lower" values are better for the person who trains; None where
            neither is.
    """

    label: str
    unit: str = ""
    better: Literal["higher", "lower"] | None = None

    def __str__(self) -> str:
        """The label with its unit, as an axis says it: "PSNR (dB)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@runtime_checkable
class Metric(Protocol):
    """A metric of single pictures.

    ``needs`` says what ``references`` must be: nothing; clean pictures of the subject, any
    number; or the originals, one for each picture and in the same order. ``columns`` describes
    what it returns; labels, units and directions of every table and figure come from there.
    ``networks``, which may be left out, names those of the profile's ``measures`` that it opens:
    scores are kept under their digests, and under those of every measure if it does not say.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs]
    columns: ClassVar[dict[str, Column]]

    @classmethod
    def open(cls, models: Any) -> Metric:
        """The metric on a profile's models: what has ``clip``, ``detector``, ``identity``."""
        ...

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; each column has shape (n,)."""
        ...


def not_a_metric(thing: Any) -> str:
    """What a class lacks of a :class:`Metric`; "" where it is one."""
    if not isinstance(thing, type) or not callable(getattr(thing, "open", None)):
        return "must be a class with a class method open(models)"
    if getattr(thing, "needs", None) not in get_args(Needs):
        return f"must have needs = {' or '.join(map(repr, get_args(Needs)))}"
    columns = getattr(thing, "columns", None)
    if not isinstance(columns, Mapping) or not columns:
        return "must have columns = {name: Column(…)}"
    return ""


def need_references(name: str, what: str, references: Tensor | None) -> Tensor:
    """The references, if there is one.

    Raises:
        UserError: none; says what was missing.
    """
    if references is None or len(references) == 0:
        raise UserError(f"{name} needs {what}: pass references=, got none")
    return references
