"""The stages: prior, protect, purify, train, sample, probe. Each output is kept under its recipe.

Every key is known before anything runs. A stage is made from what it needs, which is made first
where it is missing; so the last stage can be asked for alone, and one that is there needs nothing.
A file a stage, each on top of the one before.
"""

from __future__ import annotations

from .base import photos_of
from .image_probes import ImageProbing
from .node import Node
from .protect import neighbour


class Pipeline(ImageProbing):
    """All stages for one lab, kept in a store; :class:`.base.Stages` has the arguments."""


__all__ = ["Node", "Pipeline", "neighbour", "photos_of"]
