"""Work in steps, with a checkpoint now and then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import remove
from ..progress import OnStep, StepInfo, progress
from .places import checkpoint_place

log = logging.getLogger("shortcut_nb")


@dataclass
class WorkCheckpoint:
    """The checkpoint of one piece of work.

    Attributes:
        path: the file; None where none can be kept.
        every: steps between two checkpoints.
        bar: what shows the steps.
        step, total: where the work stands.
    """

    path: Path | None
    every: int
    bar: OnStep
    step: int = 0
    total: int = 0

    def on_step(self, info: StepInfo) -> None:
        """Note where the work stands, and show it."""
        self.step, self.total = info.step, info.total
        self.bar(info)

    def __str__(self) -> str:
        """What an interruption says."""
        where = f"at {self.step} of {self.total}; " if self.total else ""
        if self.path is None:
            return f"{where}nothing was written"
        goes_on = self.step if self.step == self.total else self.step - self.step % self.every
        return f"{where}the same command goes on from {goes_on}"


@contextmanager
def checkpointed_work(
    kind: str, key: str, label: str, every: int, needs: int = 0
) -> Iterator[WorkCheckpoint]:
    """The checkpoint of work that a key names; deleted when the body ends without an exception.

    Shows progress under ``label``. Says in one line when there is an earlier one to go on from, and
    when none can be kept: the store cannot be written, its disk has less room than ``needs`` bytes,
    or another process does the same work.
    """
    with checkpoint_place(kind, key, needs) as path:
        if path is not None:
            _say_where_it_stands(path)
        with progress(label) as bar:
            yield WorkCheckpoint(path, every, bar)


def _say_where_it_stands(path: Path) -> None:
    if not path.exists():
        return
    step = _step(path)
    if step is None:
        log.warning("the checkpoint %s cannot be read and is deleted: starting anew", path)
        for left in path.parent.glob(f"{path.name}*"):
            remove(left)
    else:
        log.info("resuming at %d: an earlier run of the same work was interrupted", step)


def _step(path: Path) -> int | None:
    """How many steps a checkpoint has behind it; None when it cannot be read."""
    import torch

    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = content.get("state", content)
        return int(state.get("done", state.get("step")))
    except Exception:  # whatever is wrong with it: the work starts anew
        return None
