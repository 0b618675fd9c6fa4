"""The stages: prior, protect, purify, train, sample, probe. Each output is kept under its recipe.

Every key is known before anything runs. A stage is made from what it needs, which is made first
where it is missing; so the last stage can be asked for alone, and one that is there needs nothing.
A file a stage, each on top of the one before.
"""

from __future__ import annotations

from collections.abc import Callable

from ..lab import Lab
from ..progress import OnStep
from ..store import Store
from .base import photos_of
from .look import Looking
from .node import Node
from .protect import neighbour


class Pipeline(Looking):
    """All stages for one lab, kept in a store.

    Args:
        lab: whose models and defaults.
        store: None is the default one.
        on_step: makes a callback for long work from its label; None shows bars or log lines.
        keep_trained: trained weights of up to so many megabytes are kept; None is the profile's.
            Others are made again when they are needed; their samples are drawn in one go.
    """

    def __init__(
        self,
        lab: Lab,
        store: Store | None = None,
        on_step: Callable[[str], OnStep] | None = None,
        keep_trained: float | None = None,
    ) -> None:
        super().__init__(lab, store, on_step, keep_trained)
        lab.keep_prior = self._prior  # class pictures are the same for every subject and process


__all__ = ["Node", "Pipeline", "neighbour", "photos_of"]
