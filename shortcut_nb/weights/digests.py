"""SHA-256 of files, worked out once per file and machine."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from ..environment import CACHE
from ..errors import UserError
from ..files import expand, file_sha256, write_text

MEMORY = "digests.json"
_SETTLED = 2.0  # seconds; a file younger than this may change without its time showing it


def cached_file_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below `folder`, by relative name with "/"; or of a single file.

    Files that no library opens are left out: what is hidden, or in a hidden folder (".cache",
    ".DS_Store"), and texts for readers ("README", Markdown).
    """
    if folder.is_file():
        return {folder.name: known_sha256(folder)}
    return {
        path.relative_to(folder).as_posix(): known_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_aside(path.relative_to(folder))
    }


def _is_aside(path: Path) -> bool:
    """Whether a file below a folder of weights has no part in the model."""
    hidden = any(part.startswith(".") for part in path.parts)
    return hidden or path.suffix.lower() == ".md" or path.stem.upper() == "README"


def memory_path() -> Path:
    """Where digests are remembered: in $SHORTCUT_NB_CACHE, or the user's cache folder."""
    return expand(os.environ.get(CACHE) or user_cache_path("shortcut_nb")) / MEMORY


def known_sha256(path: Path) -> str:
    """The SHA-256 of a file; read from memory while its size and time of change are the same.

    A memory that cannot be read or written costs time and nothing else.
    """
    real = path.resolve()
    stat = real.stat()
    mark = [stat.st_size, stat.st_mtime_ns]
    noted = _read().get(str(real))
    if isinstance(noted, list) and noted[:2] == mark and len(noted) == 3:
        return str(noted[2])
    digest = file_sha256(real)
    if time.time() - stat.st_mtime > _SETTLED:
        _write({**_read(), str(real): [*mark, digest]})
    return digest


def _read() -> dict[str, list[Any]]:
    try:
        content = json.loads(memory_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(content: dict[str, list[Any]]) -> None:
    try:
        write_text(memory_path(), json.dumps(content, indent=0))
    except UserError:
        pass
