"""What a store's folder holds beside the outputs: half-done work, failures, runs, your photos.

Only what was written by the package counts: by its name, or because a record there lists it.
Importing it loads neither torch nor diffusers.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..files import sweep
from ..files.outputs import belonging
from .recipe import is_key

CHECKPOINTS, FAILURES, LOCKS, RUNS = "checkpoints", "failures", "locks", "runs"
PHOTOS, RESULTS = "your-photos", "results"
STOPPED = ".stopped.ipynb"
_RECORDS = ("photos.json", "attack.json", "purify.json")
_HALF = re.compile(r"([0-9a-f]{64})\.state.*|([a-z]+-[0-9a-f]{32})\.pt.*")


@dataclass(frozen=True)
class SideFile:
    """Something in the store's folder that is no output: its files, deleted together.

    Attributes:
        description: what it is, in plain words ("half-done work").
        path: the file or folder by which it is listed.
        files: all that it consists of, files and folders.
        lock: held by whoever is at work on it; None where nobody is.
    """

    description: str
    path: Path
    files: tuple[Path, ...]
    lock: Path | None = None

    @property
    def used(self) -> float:
        """When it was last written, in seconds since 1970."""
        return max((stat.st_mtime for stat in self._stats()), default=0.0)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(stat.st_size for stat in self._stats())

    def delete(self) -> bool:
        """Delete it, unless another process is at work on it; folders go once they are empty.

        Raises:
            OSError: the system refuses.
        """
        try:
            with nullcontext() if self.lock is None else FileLock(self.lock).acquire(timeout=0):
                for path in self.files:
                    if _is_own(path):
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
        except Timeout:
            return False
        if _is_own(self.path):
            inner = [path for path in self.path.rglob("*") if _is_own(path)]
            for folder in (*sorted(inner, reverse=True), self.path):
                with suppress(OSError):  # something of others is in it
                    folder.rmdir()
        return True

    def _stats(self) -> Iterator[os.stat_result]:
        for path in self.files:
            inner = path.rglob("*") if _is_own(path) else ()
            for each in (path, *inner):
                with suppress(FileNotFoundError):  # another process deletes it just now
                    if not _is_own(each):
                        yield each.lstat()


def side_files(root: Path) -> Iterator[SideFile]:
    """All side files of a store, kind by kind; leftovers of killed processes are deleted first."""
    for folder in (root / CHECKPOINTS, root / RUNS, root / PHOTOS):
        for place in (folder, *(inner for inner in folder.glob("*") if _is_own(inner))):
            sweep(place)
    yield from _half_done(root)
    for path in sorted((root / FAILURES).glob("*.json")):
        if is_key(path.stem):
            yield SideFile("note of a failure", path, (path,))
    for folder in _folders(root / RUNS):
        files = [*belonging(folder, "run.json"), *sorted(folder.glob(f"*{STOPPED}"))]
        if files:
            yield SideFile("run of a notebook", folder, tuple(dict.fromkeys(files)))
    for folder in _folders(root / PHOTOS):
        files = [path for record in _RECORDS for path in belonging(folder, record)]
        if files:
            yield SideFile("photos of notebook 10", folder, tuple(dict.fromkeys(files)))


def _half_done(root: Path) -> Iterator[SideFile]:
    """Checkpoints, each with the files that belong to it."""
    parts: dict[str, list[Path]] = {}
    for path in sorted((root / CHECKPOINTS).glob("*")):
        if match := _HALF.fullmatch(path.name):
            parts.setdefault(match.group(1) or match.group(2), []).append(path)
    for stem, files in parts.items():
        locks = LOCKS if is_key(stem) else CHECKPOINTS
        yield SideFile("half-done work", files[0], tuple(files), root / locks / f"{stem}.lock")


def _folders(place: Path) -> list[Path]:
    return [] if place.is_symlink() else sorted(filter(_is_own, place.glob("*")))


def _is_own(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink()
