"""Writing: whole or not at all.

Everything is written under a temporary name beside its place and renamed when complete. A write
that fails leaves what was there before; what a killed process left is removed by the next writer.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import CannotWrite, UserError, WrongType

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.ELOOP: "its links lead round in a circle",
    errno.EIO: "the disk reports an error",
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
_TEMPORARY = re.compile(r"\.shortcut-nb-([0-9a-f]{6})-([0-9]+)-[0-9a-f]{8}\.tmp")
_DAY = 86400.0
_CUT_SHORT = re.compile("unexpected pos|PytorchStreamWriter failed writing")
"""What torch says, without the system's number, when it cannot write on."""
_IN_WORDS = re.compile(r"strerror: (.+)")
"""How torch passes on what the system says of a place."""
_REFUSALS = re.compile(
    r"StorageFull|FileTooLarge|Errno|os error|code: \d+"
    r"|PytorchStreamWriter|enforce fail at inline_container"
)
"""What libraries say in their own words when the system refused them."""
_swept: set[Path] = set()


def expand(path: str | Path, what: str = "path") -> Path:
    """A path with "~" written out.

    Raises:
        WrongType: for what is neither text nor a path.
        UserError: for an empty path, one with a zero byte, the home of a user there is not, or a
            place that the system does not let us look at.
    """
    if not isinstance(path, str | PathLike):
        raise WrongType(f"{what} must be text or a path; got {path!r}.")
    text = str(path)
    if not text.strip():
        raise UserError(f"{what} is empty: name a file or folder ('.' is the current folder).")
    if "\0" in text:
        raise UserError(f"{what} must not contain a zero byte; got {text!r}.")
    try:
        place = Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"{what} {text!r} names the home of a user that is not known.") from None
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        short = text if len(text) < 100 else f"{text[:40]}…{text[-20:]}"
        raise UserError(f"{what} {short!r} cannot be reached: {reason(error)}.") from None
    return place


def reason(error: BaseException) -> str:
    """Why a write failed, in plain words."""
    number = _number(error)
    return _REASONS.get(number or 0, str(getattr(error, "strerror", None) or error))


def _number(error: BaseException) -> int | None:
    """The system's number of an error, which safetensors and torch pass on as text."""
    number: int | None = getattr(error, "errno", None)
    if number is not None:
        return number
    if match := re.search(r"code: (\d+)|\[Errno (\d+)\]|os error (\d+)", str(error)):
        return int(next(filter(None, match.groups())))
    if _CUT_SHORT.search(str(error)):
        return errno.ENOSPC
    if match := _IN_WORDS.search(str(error)):
        return next((each for each in _REASONS if os.strerror(each) == match.group(1)), None)
    return None


def cannot_write(path: Path, error: BaseException) -> CannotWrite:
    """The error for a place that cannot be written; it keeps the system's number."""
    refusal = CannotWrite(
        f"{path} cannot be written: {reason(error)}. Name another place, or make room there."
    )
    refusal.errno = _number(error)
    return refusal


def plain_name(name: str) -> str:
    """The name, if it is one of a file in a folder: letters, digits, and single "." "-" "_" " ".

    Raises:
        UserError: any other, which might lead to another folder.
    """
    if not re.fullmatch(r"\w+(?:[ .-]\w+)*", name):
        raise UserError(
            f"a name is of letters, digits, and single dots, hyphens or spaces within; got {name!r}"
        )
    return name


def temporary(folder: Path) -> Path:
    """An unused temporary name in a folder; it tells which process it belongs to."""
    return folder / f".shortcut-nb-{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"


def sweep(folder: Path) -> None:
    """Remove temporary files and folders whose process is gone (or, elsewhere, that are old)."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        match = _TEMPORARY.fullmatch(name)
        if match and _abandoned(folder / name, match.group(1), int(match.group(2))):
            remove(folder / name)


def _abandoned(path: Path, host: str, pid: int) -> bool:
    if host == _HOST:
        return not _alive(pid)
    try:
        return time.time() - path.stat().st_mtime > _DAY
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it, as far as the system lets us."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A temporary path to write a file (or make a folder) at; renamed to `path` at the end.

    The folder above is made when missing. When the body raises, nothing is left behind.

    Raises:
        CannotWrite: when the system refuses; says why.
    """
    target = expand(path)
    fresh = temporary(target.parent)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent not in _swept:  # once for each folder: listing it costs time
            _swept.add(target.parent)
            sweep(target.parent)
        yield fresh
        os.replace(fresh, target)
    except BaseException as error:
        remove(fresh)
        if isinstance(error, UserError) or not refused_by_system(error):
            raise
        raise cannot_write(target, error) from None


def refused_by_system(error: BaseException) -> bool:
    """Whether an exception comes from the operating system's refusal to write.

    safetensors and torch turn such a refusal into exceptions of their own.
    """
    if isinstance(error, OSError):
        return True
    libraries = type(error).__name__ == "SafetensorError" or isinstance(error, RuntimeError)
    return libraries and bool(_REFUSALS.search(str(error)))


def is_full(error: BaseException) -> bool:
    """Whether a disk, quota or file-size limit was reached; libraries say so in words only."""
    if _number(error) in FULL:
        return True
    deeper = error.__cause__ or error.__context__
    return deeper is not None and is_full(deeper)


def flush(folder: Path) -> None:
    """Put every file below a folder onto the disk, so that a rename cannot come before it."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file, atomically, and flush it to the disk."""
    with writing(path) as fresh, fresh.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return expand(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text, atomically."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> Path:
    """Write numbers and text as JSON, atomically.

    Raises:
        ValueError: for NaN or infinity, which JSON does not have.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")
