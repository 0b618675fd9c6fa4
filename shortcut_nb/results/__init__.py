"""The numbers of every measurement, by profile: ``results/PROFILE/NAME.json``, in the package.

Pictures are not here: they lie in ``figures/``. One function writes a result, one reads it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CannotRead, MissingFile
from ..files import plain_name, write_text

PACKAGE = Path(__file__).parent
OUT = "folder for the numbers and the pictures; else the package's results/, and figures/"


def folder_of(profile: str = "mini") -> Path:
    """Where a profile's results lie: ``$SHORTCUT_NB_RESULTS``, else the package's own folder.

    Those of a preset ("sd21:smoke") lie in a folder of their own, ``sd21-smoke``.
    """
    return Path(os.environ.get("SHORTCUT_NB_RESULTS") or PACKAGE) / profile.replace(":", "-")


def available(profile: str = "mini", folder: str | Path | None = None) -> list[str]:
    """Names of the measurements that are there."""
    place = folder_of(profile) if folder is None else Path(folder)
    return sorted(path.stem for path in place.glob("*.json"))


def path_of(name: str, profile: str = "mini", folder: str | Path | None = None) -> Path:
    """The file of a result.

    Args:
        folder: where to look; None is :func:`folder_of` the profile.

    Raises:
        UserError: a name that is none of a file in that folder.
    """
    plain_name(name)
    place = folder_of(profile) if folder is None else Path(folder)
    return place / f"{name}.json"


def read_result(
    name: str, profile: str = "mini", folder: str | Path | None = None
) -> dict[str, Any]:
    """What a measurement found.

    Args:
        folder: where to look; None is :func:`folder_of` the profile.

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


def write_result(
    name: str, content: Mapping[str, Any], profile: str = "mini", folder: str | Path | None = None
) -> Path:
    """Write what a measurement found, whole or not at all; a NaN becomes null.

    Args:
        folder: where to; None is :func:`folder_of` the profile.

    Raises:
        UserError: see :func:`path_of`.
    """
    return write_text(path_of(name, profile, folder), _lines(_plain(content)) + "\n")


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
