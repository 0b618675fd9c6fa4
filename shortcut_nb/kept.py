"""Checkpoints of commands in the store: the same command, given again, goes on."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from . import __version__
from .files import reason, remove, sweep
from .progress import OnStep, StepInfo, progress
from .store import Payload, Recipe, Store, StoreError

if TYPE_CHECKING:
    from torch import Tensor

    from .lab import Lab
    from .subjects import Subject

log = logging.getLogger("shortcut_nb")
FOLDER = "checkpoints"
_MONTH = 30 * 86400.0


@dataclass
class Kept:
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
def kept(kind: str, key: str, label: str, every: int) -> Iterator[Kept]:
    """The checkpoint of work that a key names; deleted when the body ends without an exception.

    Shows progress under ``label``. Says in one line when there is an earlier one to go on from, and
    when none can be kept: the store cannot be written, or another process does the same work.
    """
    folder = Store().root / FOLDER
    path = folder / f"{kind}-{key[:32]}.pt"
    lock = FileLock(folder / f"{path.stem}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        lock.acquire(timeout=0)
    except OSError as error:
        if isinstance(error, Timeout):
            log.warning("the same work is going on in another process; no checkpoint is kept here")
        else:
            log.warning(
                "no checkpoint is kept in %s (%s): a killed run starts anew", folder, reason(error)
            )
        with progress(label) as bar:
            yield Kept(None, every, bar)
        return
    try:
        _say(path)
        with progress(label) as bar:
            yield Kept(path, every, bar)
        for left in folder.glob(f"{path.name}*"):
            remove(left)
    finally:
        lock.release()


def keep_class_pictures(lab: Lab) -> None:
    """Let a lab keep its class pictures in the store, and show how far it is in drawing them.

    A store that cannot be written is said in one line, and they are drawn each time.
    """
    store = Store()

    def keep(role: str, how: dict[str, Any], draw: Callable[[], Tensor]) -> Tensor:
        drawn: list[Tensor] = []

        def write(out: Payload) -> None:
            drawn.append(draw())
            out.save_tensors("prior", {"latents": drawn[0]})

        inputs = {
            "weights": lab.digest("diffusion", role),
            "arithmetic": f"{lab.device.type} {lab.autocast}",
        }
        try:
            return store.make(Recipe("prior", "1", how, inputs), write).tensors("prior")["latents"]
        except StoreError as error:
            log.warning("class pictures are not kept: %s", error)
            return drawn[0] if drawn else draw()

    lab.keep_prior, lab.show = keep, progress


def key_of(made_by: Any, subject: Subject) -> str:
    """What names a piece of work: all that its result depends on."""
    words = (__version__, made_by, subject.instance_prompt, subject.class_prompt)
    digest = hashlib.sha256(repr(words).encode())
    for images in (subject.a, subject.b):
        digest.update(repr(tuple(images.shape)).encode())
        digest.update(images.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _say(path: Path) -> None:
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


def _tidy(folder: Path) -> None:
    """Remove temporary files of killed runs, and checkpoints that a month has passed over."""
    sweep(folder)
    limit = time.time() - _MONTH
    for path in folder.glob("*-*.*"):
        try:
            if path.stat().st_mtime < limit:
                remove(path)
        except OSError:
            continue
