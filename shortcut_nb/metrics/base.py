"""What a metric is: pictures in, one number per picture out, under a column name."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

Needs = Literal["nothing", "subject", "originals"]


@runtime_checkable
class Metric(Protocol):
    """A metric of single pictures.

    ``needs`` says what ``references`` must be: nothing; clean pictures of the subject, any
    number; or the originals, one for each picture and in the same order.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs]

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; each column has shape (n,)."""
        ...


def need_references(name: str, what: str, references: Tensor | None) -> Tensor:
    """Return the references, or raise ValueError that says what was missing."""
    if references is None or len(references) == 0:
        raise ValueError(f"{name} needs {what}: pass references=, got none")
    return references
