"""A store of finished work below one folder: ``STAGE/KEY/`` holds an output and its manifest.

An output is written under a temporary name and renamed when complete, so a run killed at any
moment leaves nothing half done. The key comes from the recipe; digests of the content are in the
manifest and checked on every read. Nothing that the store did not write is ever deleted.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from ..environment import CACHE
from ..errors import AlreadyThere, CannotRead, CannotWrite, UserError
from ..files import cannot_write, expand, flush, is_full, write_text
from .payload import Payload
from .recipe import Recipe, check_name, file_digests, is_key, recipe_key
from .side_files import CHECKPOINTS, FAILURES, LOCKS, PHOTOS, RESULTS, RUNS, SideFile, side_files

log = logging.getLogger("shortcut_nb")
MANIFEST = "manifest.json"
FORMAT = 1
TEMPORARY = "tmp"
OWN = (CHECKPOINTS, FAILURES, LOCKS, TEMPORARY)  # folders beside the stages
KNOWN = (*OWN, RUNS, PHOTOS, RESULTS, "digests.json")  # the same, and what others put there


class StoreError(CannotWrite):
    """The store cannot be written; the message is one line and says what to do."""


class DamagedEntry(CannotRead):
    """A stored output is not what was written."""


@dataclass(frozen=True)
class Entry(Payload):
    """A finished output: its folder, its manifest, and whether it was made just now."""

    manifest: Mapping[str, Any]
    fresh: bool = False

    @property
    def key(self) -> str:
        """The SHA-256 of the recipe, which names the entry."""
        return self.manifest["key"]

    @property
    def stage(self) -> str:
        """The stage that made it."""
        return self.manifest["stage"]

    @property
    def seconds(self) -> float:
        """What making it took."""
        return self.manifest["seconds"]

    @property
    def used(self) -> float:
        """When it was last made or read, in seconds since 1970."""
        return (self.folder / MANIFEST).stat().st_mtime

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def check(self) -> None:
        """Hold the content against the manifest.

        Raises:
            DamagedEntry: naming the files that were changed, added or lost.
        """
        files = file_digests(self.folder, without=MANIFEST)
        differing = {name for name, _ in files.items() ^ dict(self.manifest["files"]).items()}
        if differing:
            raise DamagedEntry(f"changed: {', '.join(sorted(differing))}")


class Store:
    """A store below one folder: $SHORTCUT_NB_CACHE, or the user's cache folder."""

    def __init__(self, root: str | Path | None = None) -> None:
        default = os.environ.get(CACHE) or user_cache_path("shortcut_nb") / "store"
        self.root = expand(root or default, f"the store's folder (${CACHE})")

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def folder(self, recipe: Recipe) -> Path:
        """Where the output of a recipe is, or would be."""
        return self.root / recipe.stage / recipe.key

    def has(self, recipe: Recipe) -> bool:
        """Whether an output is there, without reading it."""
        return os.path.isfile(f"{self.root}/{recipe.stage}/{recipe.key}/{MANIFEST}")

    def get(self, recipe: Recipe) -> Entry | None:
        """The output of a recipe, checked; None when there is none or it is damaged (a warning)."""
        folder = self.folder(recipe)
        if not folder.is_dir():
            return None
        try:
            entry = read_entry(folder)
            entry.check()
        except (DamagedEntry, OSError) as problem:
            log.warning("stored output %s is damaged (%s): made again", folder, problem)
            return None
        try:
            os.utime(folder / MANIFEST)  # last use, for prune
        except OSError:
            pass  # a read-only store still serves
        return entry

    def make(self, recipe: Recipe, write: Callable[[Payload], None]) -> Entry:
        """The output of a recipe: read when it is there and whole, else made and kept.

        Args:
            write: writes the output through the payload it is given.

        Several processes may ask for one key at once: one makes it, the others wait. Whether the
        store can be written is found out before the work is begun.

        Raises:
            StoreError: the store cannot be written, or its disk is full; nothing is left behind.
        """
        entry, folder = self.get(recipe), self.folder(recipe)
        if entry is not None:
            return entry
        with self._writing():
            for name in OWN:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            (self.root / recipe.stage).mkdir(exist_ok=True)
            lock = self._lock(recipe.key)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                log.info("another process is making %s: waiting for it", folder)
                lock.acquire()
        try:
            entry = self.get(recipe)  # another process may have made it meanwhile
            return entry or self._make(recipe, write)
        finally:
            lock.release()

    def _make(self, recipe: Recipe, write: Callable[[Payload], None]) -> Entry:
        folder, scratch = self.folder(recipe), self.root / TEMPORARY
        self._sweep(recipe.key)  # we hold the lock: their writer was killed
        with self._writing():
            temporary = Path(tempfile.mkdtemp(dir=scratch, prefix=f"{recipe.key}-"))
        try:
            with self._writing(full_only=True):
                start = time.monotonic()
                write(Payload(temporary))
                manifest = {
                    "format": FORMAT,
                    "key": recipe.key,
                    **recipe.fields,
                    "files": file_digests(temporary),
                    "seconds": round(time.monotonic() - start, 3),
                    "made": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
                flush(temporary)
                if folder.exists():  # damaged: moved away first, so that the rename is one step
                    folder.rename(scratch / f"{recipe.key}-damaged-{os.getpid()}")
                temporary.rename(folder)
        finally:
            self._sweep(recipe.key)
        return Entry(folder, manifest, fresh=True)

    def checkpoint(self, recipe: Recipe) -> Path:
        """A file for whoever makes an output to go on from when it was killed; delete it after.

        Raises:
            StoreError: the store cannot be written.
        """
        with self._writing():
            (self.root / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        return self.root / CHECKPOINTS / f"{recipe.key}.state"

    def note_failure(self, recipe: Recipe, failure: Mapping[str, Any] | None) -> None:
        """Write down why an output could not be made; None: it could."""
        path = self.root / FAILURES / f"{recipe.key}.json"
        if failure is None:
            path.unlink(missing_ok=True)
            return
        with self._writing():
            write_text(path, json.dumps(failure, indent=1) + "\n")

    def failure(self, recipe: Recipe) -> dict[str, Any] | None:
        """Why an output could not be made the last time; None when nothing went wrong."""
        try:
            text = (self.root / FAILURES / f"{recipe.key}.json").read_text("utf-8")
            return json.loads(text)
        except (OSError, ValueError):
            return None

    def stages(self) -> list[str]:
        """The stages of which there are or were outputs, sorted."""
        return sorted({place.parent.name for place in self.root.glob("*/*") if is_key(place.name)})

    def ls(self, stage: str | None = None) -> Iterator[Entry]:
        """Every entry of the store's own, sorted by stage and key; contents unchecked.

        Raises:
            ValueError: a stage that is no plain name.
        """
        if stage is not None:
            check_name(stage, "a stage")
        for folder in self._places(stage):
            try:
                yield read_entry(folder)
            except (DamagedEntry, OSError) as problem:
                log.warning("%s is no stored output (%s): left alone", folder, problem)

    def verify(self, stage: str | None = None) -> Iterator[tuple[Path, str | None]]:
        """Every place of an entry with what is wrong there, None when it is whole."""
        if stage is not None:
            check_name(stage, "a stage")
        for folder in self._places(stage):
            try:
                read_entry(folder).check()
                yield folder, None
            except (DamagedEntry, OSError) as problem:
                yield folder, str(problem)

    def prune(
        self, days: float | None = None, keep: int | None = None, stage: str | None = None
    ) -> list[Entry]:
        """Delete entries, and return what is gone; what another process is making stays.

        Args:
            days: delete what was not used for so many days.
            keep: then delete until the entries take no more than so many bytes: trained weights
                first, then the others, each from the one unused for longest.
            stage: of this stage only.
        """
        entries = [(entry, entry.used) for entry in self.ls(stage)]
        limit = float("-inf") if days is None else time.time() - days * 86400
        gone = [entry for entry, used in entries if used <= limit and self._delete(entry)]
        if keep is not None:
            deleted = {entry.key for entry in gone}
            left = [pair for pair in entries if pair[0].key not in deleted]
            left.sort(key=lambda pair: (pair[0].stage != "train", pair[1]))
            sizes = [(entry, entry.bytes) for entry, _ in left]
            total = sum(size for _, size in sizes)
            for entry, size in sizes:
                if total > keep and self._delete(entry):
                    gone.append(entry)
                    total -= size
        self._forget_killed()
        return gone

    def side_files(self) -> list[SideFile]:
        """What is kept beside the outputs: half-done work, notes of failures, runs, photos."""
        return list(side_files(self.root))

    def prune_side_files(self, days: float) -> list[SideFile]:
        """Delete those side files that were not written for so many days, unless they are in use.

        Raises:
            StoreError: the store cannot be written.
        """
        limit = time.time() - days * 86400
        with self._writing():
            return [each for each in self.side_files() if each.used <= limit and each.delete()]

    def export(
        self, target: str | Path, stage: str | None = None, force: bool = False
    ) -> list[Entry]:
        """Copy whole entries into another store's folder; what is there whole already stays.

        Args:
            force: also into a folder that holds other things.

        Raises:
            UserError: the target is this store, or lies inside it.
            AlreadyThere: the target holds other things, and ``force`` is not given.
            CannotWrite: the target cannot be written, or its disk has too little room.
        """
        other = Store(expand(target, "TARGET"))
        _check_target(self.root, other, force)
        try:
            other.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(other.root, error) from None
        missing = [entry for entry in self.ls(stage) if not other._has(entry) and _is_whole(entry)]
        needs, room = sum(entry.bytes for entry in missing), shutil.disk_usage(other.root).free
        if room < needs:
            raise StoreError(
                f"{other.root} cannot be written: the outputs take {needs / 1e6:.1f} MB, and the "
                f"disk has {room / 1e6:.1f} MB left. Name another folder, or some with stage=STAGE."
            )
        for entry in missing:
            other._copy(entry)
        return missing

    def _has(self, entry: Entry) -> bool:
        """Whether a whole copy of another store's entry is here."""
        folder = self.root / entry.stage / entry.key
        try:
            read_entry(folder).check()
        except (DamagedEntry, OSError):
            return False
        return True

    def _copy(self, entry: Entry) -> None:
        place = self.root / entry.stage / entry.key
        scratch = self.root / TEMPORARY / f"{entry.key}-copy-{os.getpid()}"
        try:
            with self._writing():
                shutil.copytree(entry.folder, scratch)
                place.parent.mkdir(parents=True, exist_ok=True)
                if place.exists():  # damaged
                    place.rename(scratch.with_name(f"{entry.key}-damaged-{os.getpid()}"))
                scratch.rename(place)
        finally:
            self._sweep(entry.key)

    def _places(self, stage: str | None) -> Iterator[Path]:
        """Folders at the place of an entry: ``STAGE/KEY`` with a manifest, no links."""
        for folder in sorted(self.root.glob(f"{stage or '*'}/*")):
            linked = folder.is_symlink() or folder.parent.is_symlink()
            own = is_key(folder.name) and folder.parent.name not in OWN
            if own and not linked and _may_be_entry(folder):
                yield folder

    def _lock(self, key: str) -> FileLock:
        return FileLock(self.root / LOCKS / f"{key}.lock")

    def _delete(self, entry: Entry) -> bool:
        """Move an entry away and delete it, unless another process holds it."""
        with self._writing():
            for name in OWN:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            try:
                with self._lock(entry.key).acquire(timeout=0):
                    entry.folder.rename(
                        self.root / TEMPORARY / f"{entry.key}-deleted-{os.getpid()}"
                    )
                    self._sweep(entry.key)
                    return True
            except (Timeout, FileNotFoundError):
                return False

    def _sweep(self, key: str) -> None:
        """Delete what writers of a key left; the caller holds its lock."""
        for left in (self.root / TEMPORARY).glob(f"{key}-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _forget_killed(self) -> None:
        """Delete what killed writers left behind."""
        for left in (self.root / TEMPORARY).glob("*-*"):
            key = left.name.partition("-")[0]
            if not is_key(key):
                continue
            try:
                with self._lock(key).acquire(timeout=0):
                    self._sweep(key)
            except (Timeout, OSError):
                continue

    @contextmanager
    def _writing(self, full_only: bool = False) -> Iterator[None]:
        """Turn what the system says of a store that cannot be written into one line.

        Args:
            full_only: only a full disk; other errors are the work's own.
        """
        try:
            yield
        except Exception as error:
            if is_full(error):
                raise StoreError(
                    f"the disk of the store {self.root} is full; nothing was kept of this output. "
                    "Make room (shortcut-nb cache prune --keep 1GB) and run again: it goes on."
                ) from error
            if full_only or isinstance(error, CannotWrite) or not isinstance(error, OSError):
                raise
            reason = error.strerror or str(error)
            raise StoreError(
                f"the store {self.root} cannot be written ({reason}): name another folder in "
                f"${CACHE}."
            ) from error


def read_entry(folder: Path) -> Entry:
    """The entry at a place, its manifest checked, its content not.

    Raises:
        DamagedEntry: what is there is no manifest, or that of another recipe, place or format.
    """
    try:
        with open(f"{folder}/{MANIFEST}", encoding="utf-8") as stream:
            manifest = json.load(stream)
        numbers = isinstance(manifest["seconds"], (int, float)) and isinstance(
            manifest["made"], str
        )
        files = all(isinstance(each, str) for each in dict(manifest["files"]).values())
        place = manifest["key"] == folder.name and manifest["stage"] == folder.parent.name
        whole = numbers and files and manifest["format"] == FORMAT
        key = recipe_key(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedEntry(f"its manifest cannot be read: {error!r}") from error
    if not place or not whole or key != folder.name:
        raise DamagedEntry("its manifest belongs to another recipe, place or format")
    return Entry(folder, manifest)


def _may_be_entry(folder: Path) -> bool:
    """Whether there is a manifest; True where that may not be looked at, for others to say so."""
    try:
        return (folder / MANIFEST).is_file()
    except OSError:
        return True


def _is_whole(entry: Entry) -> bool:
    try:
        entry.check()
    except (DamagedEntry, OSError) as problem:
        log.warning("%s is damaged (%s): left out", entry.folder, problem)
        return False
    return True


def _check_target(root: Path, other: Store, force: bool) -> None:
    """Refuse to export into the store itself, and into a folder that is something else."""
    source, target = root.resolve(), other.root.resolve()
    if source == target or source in target.parents:
        raise UserError(f"TARGET {other.root} is this store, or lies inside it: name another.")
    if not other.root.is_dir():
        return
    foreign = sorted(path.name for path in other.root.iterdir() if not _belongs(path))
    if foreign and not force:
        raise AlreadyThere(
            f"TARGET {other.root} holds {', '.join(foreign[:3])}, which belongs to no store. Name "
            "a folder of its own, or give force=True to add a store to what is there."
        )


def _belongs(path: Path) -> bool:
    """Whether something in a store's folder is the store's: a stage, or what lies beside stages."""
    if path.name in KNOWN or path.name.startswith("."):
        return True
    return path.is_dir() and all(is_key(inner.name) for inner in path.iterdir())
