"""A content-addressed store: finished work is found again by what made it.

Each output is a folder named by the SHA-256 of (stage, version, parameters, inputs). It is
written under a temporary name and renamed when complete, so a run killed at any moment leaves
nothing half done. Digests are checked on every read.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from shortcut_nb.experiments import keys
from shortcut_nb.experiments.payload import Payload

log = logging.getLogger("shortcut_nb")
CACHE = "SHORTCUT_NB_CACHE"
MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Entry(Payload):
    """A finished output: its folder, its manifest, and whether it was made just now."""

    manifest: Mapping[str, Any]
    fresh: bool = False

    @property
    def key(self) -> str:
        """The SHA-256 that names the entry."""
        return self.manifest["key"]

    @property
    def digest(self) -> str:
        """The SHA-256 of the content; use it as an input of the next stage."""
        return keys.make_key("content", "1", {}, dict(self.manifest["files"]))

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())


class Store:
    """A store below one folder: $SHORTCUT_NB_CACHE, or the user's cache folder."""

    def __init__(self, root: str | Path | None = None) -> None:
        default = os.environ.get(CACHE) or user_cache_path("shortcut_nb") / "store"
        self.root = Path(root or default).expanduser()

    def cached(
        self,
        stage: str,
        params: Any,
        inputs: Mapping[str, Any],
        make: Callable[[Payload], None],
        version: str = "1",
    ) -> Entry:
        """The output of a stage: read when it is there and whole, else made and kept.

        Args:
            stage: plain name, for instance "protect".
            params: whatever `keys.plain` takes; part of the key.
            inputs: what goes in, by name; hashed by content (`keys.digest`).
            make: writes the output through the payload it is given.
            version: of the stage's code; change it when the output would change.

        Several processes may ask for one key at once: one makes it, the others wait.
        An entry that fails its digests is made again, with a warning.
        """
        if not stage.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"expected a plain stage name (letters, digits, '-'); got {stage!r}.")
        hashed = {name: keys.digest(thing) for name, thing in inputs.items()}
        key = keys.make_key(stage, version, params, hashed)
        folder = self.root / stage / key
        found = self._read(folder, key)
        if found is not None:
            return found
        (self.root / "locks").mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / "locks" / f"{key}.lock"):
            found = self._read(folder, key)  # another process may have made it meanwhile
            if found is not None:
                return found
            fields = {"stage": stage, "version": version, "params": params, "inputs": hashed}
            return self._make(folder, key, keys.plain(fields), make)

    def _make(
        self, folder: Path, key: str, fields: dict[str, Any], make: Callable[[Payload], None]
    ) -> Entry:
        scratch = self.root / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        for left in scratch.glob(f"{key}-*"):  # we hold the lock: its writer was killed
            shutil.rmtree(left, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(dir=scratch, prefix=f"{key}-"))
        try:
            start = time.monotonic()
            make(Payload(temporary))
            manifest = {
                "format": FORMAT,
                "key": key,
                **fields,
                "files": keys.file_digests(temporary),
                "seconds": round(time.monotonic() - start, 3),
                "made": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            (temporary / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
            _flush(temporary)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists():  # damaged: moved away first, so that the rename is one step
                folder.rename(temporary.with_name(f"{key}-damaged-{os.getpid()}"))
            temporary.rename(folder)
        finally:
            for left in scratch.glob(f"{key}-*"):
                shutil.rmtree(left, ignore_errors=True)
        return Entry(folder, manifest, fresh=True)

    def _read(self, folder: Path, key: str) -> Entry | None:
        if not folder.is_dir():
            return None
        problem = None
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            names = ("stage", "version", "params", "inputs")
            if keys.make_key(*(manifest[name] for name in names)) != key:
                problem = "its manifest belongs to another key"
            else:
                files = keys.file_digests(folder)
                files.pop(MANIFEST)
                changed = {n for n, _ in files.items() ^ dict(manifest["files"]).items()}
                problem = f"changed: {', '.join(sorted(changed))}" if changed else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"its manifest cannot be read ({error})"
        if problem is not None:
            log.warning("stored output %s is damaged (%s): made again", folder, problem)
            return None
        try:
            os.utime(folder / MANIFEST)  # last use, for prune
        except OSError:
            pass  # a read-only store still serves
        return Entry(folder, manifest)

    def ls(self, stage: str | None = None) -> Iterator[Entry]:
        """Every entry with a readable manifest, sorted by stage and key; digests unchecked."""
        for path in sorted(self.root.glob(f"{stage or '*'}/*/{MANIFEST}")):
            try:
                manifest = json.loads(path.read_text("utf-8"))
                yield Entry(path.parent, manifest | {"used": path.stat().st_mtime})
            except (OSError, ValueError):
                continue

    def prune(self, days: float = 30.0, stage: str | None = None) -> list[Entry]:
        """Delete what was not used for `days` days, and return what is gone.

        An entry that another process is making is left alone.
        """
        limit = time.time() - days * 86400
        gone = []
        for entry in list(self.ls(stage)):
            if entry.manifest["used"] > limit:
                continue
            lock = FileLock(self.root / "locks" / f"{entry.folder.name}.lock")
            with lock:
                shutil.rmtree(entry.folder, ignore_errors=True)
            gone.append(entry)
        return gone


def cached(
    stage: str,
    params: Any,
    inputs: Mapping[str, Any],
    make: Callable[[Payload], None],
    version: str = "1",
) -> Entry:
    """`Store().cached(...)`: the default store."""
    return Store().cached(stage, params, inputs, make, version)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
