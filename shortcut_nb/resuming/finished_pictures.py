"""Pictures that are worked on a few at a time: what is finished is kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..files import sweep
from ..progress import OnStep, StepInfo, progress
from .places import checkpoint_place

log = logging.getLogger("shortcut_nb")


@dataclass
class FinishedPictures:
    """What is done of pictures that are worked on a few at a time.

    Attributes:
        folder: for finished pictures; None where none can be kept.
        bar: what shows the steps.
        done, total: how many pictures are finished, of how many.
    """

    folder: Path | None
    bar: OnStep
    total: int
    done: int = 0

    def on_picture(self, info: StepInfo) -> None:
        """Note that a picture is finished."""
        self.done = info.step

    def __str__(self) -> str:
        """What an interruption says."""
        where = f"at {self.done} of {self.total} pictures; "
        if self.folder is None:
            return f"{where}nothing was written"
        return f"{where}the same command goes on from what is done"


@contextmanager
def checkpointed_pictures(
    kind: str, key: str, label: str, total: int
) -> Iterator[FinishedPictures]:
    """The same for pictures that are worked on a few at a time: what is finished is kept."""
    with checkpoint_place(kind, key, needs=0) as path:
        folder = None if path is None else path.with_name(f"{path.name}.done")
        if folder is not None and folder.is_dir():
            sweep(folder)
            count = sum(1 for _ in folder.iterdir())
            log.info(
                "resuming at %d of %d: an earlier run of the same was interrupted", count, total
            )
        with progress(label) as bar:
            yield FinishedPictures(folder, bar, total)
