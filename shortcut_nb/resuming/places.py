"""Where the checkpoint of a piece of work lies: in the store, locked while the work goes on."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..files import reason, remove, sweep
from ..store import Store
from ..store.side_files import CHECKPOINTS

log = logging.getLogger("shortcut_nb")
_MONTH = 30 * 86400.0


@contextmanager
def checkpoint_place(kind: str, key: str, needs: int) -> Iterator[Path | None]:
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
