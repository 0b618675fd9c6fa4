"""The numbers of every measurement, by profile: ``results/PROFILE/NAME.json``.

Those of the package's questions lie in the package, those of experiments of one's own in the store.
Pictures are not here: they lie in ``figures/``. One function writes a result, one reads it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..environment import RESULTS
from ..errors import CannotRead, MissingFile
from ..files import cannot_write, expand, plain_name, write_text
from ..store import Store
from ..store.side_files import RESULTS as IN_STORE

PACKAGE = Path(__file__).parent
QUESTIONS = PACKAGE.parent / "experiments" / "questions"


def folder_of(name: str, profile: str = "mini") -> Path:
    """Where a result is written: in ``$SHORTCUT_NB_RESULTS`` when that is set.

    Else a question's of the package in the package, that of an experiment of one's own in the
    store. Those of a preset ("sd21:smoke") lie in a folder of their own, ``sd21-smoke``.
    """
    given, in_store, package = _places(profile)
    asked = any((QUESTIONS / f"{name}{end}").is_file() for end in (".py", ".yaml"))
    return given or (package if asked else in_store)


def _places(profile: str) -> tuple[Path | None, Path, Path]:
    """Where a profile's results are looked for, in this order; the first may not be given."""
    below = profile.replace(":", "-")
    text = os.environ.get(RESULTS)
    given = expand(text, f"${RESULTS}") / below if text else None
    return given, Store().root / IN_STORE / below, PACKAGE / below


def _looked_in(profile: str, folder: str | Path | None) -> list[Path]:
    return list(filter(None, _places(profile))) if folder is None else [Path(folder)]


def available(profile: str = "mini", folder: str | Path | None = None) -> list[str]:
    """Names of the measurements that are there; in a folder, or wherever they are looked for."""
    places = _looked_in(profile, folder)
    return sorted({path.stem for place in places for path in place.glob("*.json")})


def path_of(name: str, profile: str = "mini", folder: str | Path | None = None) -> Path:
    """The file of a result; where there is none, the place in which it would be written.

    Args:
        folder: where to look; None is ``$SHORTCUT_NB_RESULTS``, the store, then the package.

    Raises:
        UserError: a name that is none of a file in that folder.
    """
    plain_name(name)
    paths = [place / f"{name}.json" for place in _looked_in(profile, folder)]
    own = folder_of(name, profile) if folder is None else Path(folder)
    return next((path for path in paths if path.is_file()), own / f"{name}.json")


def read_result(
    name: str, profile: str = "mini", folder: str | Path | None = None
) -> dict[str, Any]:
    """What a measurement found.

    Args:
        folder: where to look; see :func:`path_of`.

    Raises:
        MissingFile: there is no such result; says which there are and what makes one.
        CannotRead: the file is no JSON of keys and values.
    """
    path = path_of(name, profile, folder)
    if not path.is_file():
        there = ", ".join(available(profile, folder)) or "none"
        raise MissingFile(
            f"there is no result {name!r} in {path.parent} (there are: {there}): "
            f"`shortcut-nb bench {name} --profile {profile}` measures it, if it is a question of "
            "the package (hours; it can be resumed)"
        )
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CannotRead(f"{path} is no JSON ({error}): measure it again, or restore it") from None
    if not isinstance(content, dict):
        raise CannotRead(
            f"{path} holds no result but a {type(content).__name__}: measure it again, or restore "
            "it"
        )
    return content


@contextmanager
def changing(name: str, profile: str = "mini") -> Iterator[None]:
    """Alone with a result, from reading it to writing it: others wait.

    Raises:
        CannotWrite: the store, where the lock lies, cannot be written.
    """
    folder = Store().root / IN_STORE / profile.replace(":", "-")
    lock = FileLock(folder / f".{plain_name(name)}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        yield
    finally:
        lock.release()


def write_result(
    name: str, content: Mapping[str, Any], profile: str = "mini", folder: str | Path | None = None
) -> Path:
    """Write what a measurement found, whole or not at all; a NaN becomes null.

    Args:
        folder: where to; None is :func:`folder_of` it.

    Raises:
        UserError: see :func:`path_of`.
    """
    plain_name(name)
    place = folder_of(name, profile) if folder is None else Path(folder)
    return write_text(place / f"{name}.json", _lines(_plain(content)) + "\n")


def _lines(value: Any, indent: str = "") -> str:
    """JSON with a line for each list of plain values, such as a column of a frame, and for each
    item of another list, such as a contrast."""
    inner = f"{indent} "
    if isinstance(value, dict) and value:
        rows = [f"{inner}{json.dumps(name)}: {_lines(each, inner)}" for name, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        rows = [f"{inner}{_line(each)}" for each in value]
        return "[\n" + ",\n".join(rows) + f"\n{indent}]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """Numpy's numbers and mappings as JSON's own, and null for a number that is none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
