"""Checkpoints of a command's work, in the store: the same command, given again, goes on."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from .. import __version__
from ..files import reason, remove, sweep
from ..models.class_pictures import ClassPictures, latents_in, save_latents
from ..progress import OnStep, StepInfo, progress
from .payload import Payload
from .recipe import Recipe, update_digest
from .side_files import CHECKPOINTS
from .store import Store, StoreError

if TYPE_CHECKING:
    from torch import Tensor

    from ..lab import Lab
    from ..subjects import Subject

log = logging.getLogger("shortcut_nb")
_MONTH = 30 * 86400.0
T = TypeVar("T")


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
def checkpointed_work(
    kind: str, key: str, label: str, every: int, needs: int = 0
) -> Iterator[WorkCheckpoint]:
    """The checkpoint of work that a key names; deleted when the body ends without an exception.

    Shows progress under ``label``. Says in one line when there is an earlier one to go on from, and
    when none can be kept: the store cannot be written, its disk has less room than ``needs`` bytes,
    or another process does the same work.
    """
    with _place(kind, key, needs) as path:
        if path is not None:
            _say(path)
        with progress(label) as bar:
            yield WorkCheckpoint(path, every, bar)


@contextmanager
def checkpointed_pictures(
    kind: str, key: str, label: str, total: int
) -> Iterator[FinishedPictures]:
    """The same for pictures that are worked on a few at a time: what is finished is kept."""
    with _place(kind, key, needs=0) as path:
        folder = None if path is None else path.with_name(f"{path.name}.done")
        if folder is not None and folder.is_dir():
            sweep(folder)
            count = sum(1 for _ in folder.iterdir())
            log.info(
                "resuming at %d of %d: an earlier run of the same was interrupted", count, total
            )
        with progress(label) as bar:
            yield FinishedPictures(folder, bar, total)


@contextmanager
def _place(kind: str, key: str, needs: int) -> Iterator[Path | None]:
    """The name of a checkpoint, locked; None where none can be kept, which is said in one line."""
    folder = Store().root / CHECKPOINTS
    path = folder / f"{kind}-{key[:32]}.pt"
    lock = FileLock(folder / f"{path.stem}.lock")
    problem = _take(folder, lock, needs)
    if problem:
        log.warning(problem)
        yield None
        return
    try:
        yield path
        for left in folder.glob(f"{path.name}*"):
            remove(left)
    finally:
        lock.release()


def _take(folder: Path, lock: FileLock, needs: int) -> str:
    """Why no checkpoint can be kept in a folder; "" when it can, and the lock is taken."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        lock.acquire(timeout=0)
    except Timeout:
        return "the same work is going on in another process; no checkpoint is kept here"
    except OSError as error:
        return f"no checkpoint is kept in {folder} ({reason(error)}): a killed run starts anew"
    room = shutil.disk_usage(folder).free
    if room < needs:
        lock.release()
        return (
            f"no checkpoint is kept in {folder} (it takes {needs / 1e6:.1f} MB, and the disk has "
            f"{room / 1e6:.1f} MB left): a killed run starts anew"
        )
    return ""


def make_or_warn(
    store: Store,
    recipe: Recipe,
    label: str,
    work: Callable[[], T],
    save: Callable[[Payload, T], None],
    read: Callable[[Payload], T],
) -> T:
    """What work gives: read from the store, or done and kept there.

    A store that cannot be written is said in one line, and nothing is done twice.

    Args:
        label: what is made, in a few words: "class pictures".
        save, read: write it into an output, and read it back.
    """
    fresh: list[T] = []

    def write(out: Payload) -> None:
        fresh.append(work())
        save(out, fresh[0])

    try:
        return read(store.make(recipe, write))
    except StoreError as error:
        log.warning("%s could not be kept: %s", label, error)
        return fresh[0] if fresh else work()


def keep_class_pictures(lab: Lab) -> None:
    """Let a lab keep its class pictures in the store, and show how far it is in drawing them.

    A store that cannot be written is said in one line, and they are drawn each time.
    """
    store = Store()

    def keep(drawn: ClassPictures) -> Tensor:
        def draw() -> Tensor:
            return lab.draw_class_pictures(drawn)

        recipe = drawn.recipe(lab)
        return make_or_warn(store, recipe, "class pictures", draw, save_latents, latents_in)

    lab.hooks = replace(lab.hooks, class_pictures=keep, progress=progress)


def work_key(made_by: Any, subject: Subject) -> str:
    """What names a piece of work: all that its result depends on."""
    words = (made_by, subject.instance_prompt, subject.class_prompt)
    return work_key_of_pictures(words, (subject.a, subject.b))


def work_key_of_pictures(made_by: Any, contents: Iterable[Tensor | str]) -> str:
    """The same for pictures without words: tensors, or digests of files."""
    digest = hashlib.sha256(repr((__version__, made_by)).encode())
    for content in contents:
        if isinstance(content, str):
            digest.update(content.encode())
            continue
        digest.update(repr(tuple(content.shape)).encode())
        update_digest(digest, content)
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
