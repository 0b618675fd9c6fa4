"""One training, stopped at rising steps to be sampled; each part goes on from the one before."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

from ..personalize import Personalized
from ..progress import OnStep
from ..subjects import Subject


class Partway:
    """A training that can be stopped, looked at, and taken further.

    Args:
        key: names the training.
        trainer: with its models.
        subject: under the words that the training has for it.
        images: what is trained on, (n, 3, H, W) in [0, 1].
    """

    def __init__(self, key: str, trainer: Any, subject: Subject, images: Tensor) -> None:
        self.key, self.trainer, self.subject, self.images = key, trainer, subject, images
        self.step = 0
        self._folder = tempfile.TemporaryDirectory(prefix="shortcut_nb-")

    @property
    def path(self) -> Path:
        """Where the training stands, for :meth:`Trainer.fit` to go on from."""
        return Path(self._folder.name) / "state"

    def at(self, step: int, on_step: OnStep | None = None) -> Personalized:
        """The model after a step; an earlier step than the last one begins again.

        Raises:
            ValueError: a step beyond the trainer's last.
        """
        if not 0 <= step <= self.trainer.steps:
            raise ValueError(f"step must lie within 0…{self.trainer.steps}; got {step}")
        if step < self.step:
            self.path.unlink(missing_ok=True)
        fitted = self.trainer.fit(
            self.subject,
            self.images,
            on_step=on_step,
            checkpoint=self.path,
            every=max(1, step),
            until=step,
        )
        self.step = step
        return fitted
