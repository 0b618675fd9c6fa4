"""The one checkpoint format: what an attack or a training needs to go on after it was killed.

A file of tensors, numbers, text, lists and dictionaries, opened with ``weights_only``: nothing in
it can run. It carries a mark of all that made it, and goes on with nothing else.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..errors import CannotWrite, UserError
from ..files import is_full, writing

log = logging.getLogger("shortcut_nb")
FORMAT = "shortcut_nb checkpoint 1"


def save_checkpoint(path: Path, mark: str, state: dict[str, Any]) -> bool:
    """Write a state, atomically. ``mark`` stands for all that the state depends on.

    A full disk is said in one line and ends no work: what was written before stays.

    Returns:
        Whether it was written.

    Raises:
        CannotWrite: the system refuses for another reason.
    """
    content = {"format": FORMAT, "mark": mark, "state": state}
    try:
        with writing(path) as fresh:
            torch.save(content, fresh)
    except CannotWrite as error:
        if not is_full(error):
            raise
        _warn(path)
        return False
    return True


@cache
def _warn(path: Path) -> None:
    """Say once of a path that its disk is full."""
    log.warning(
        "the disk has no room for the checkpoint %s: the work goes on without, and a killed run "
        "begins where the last one was written",
        path,
    )


def load_checkpoint(path: Path, mark: str, depends: str) -> dict[str, Any]:
    """The state of a file, on the CPU.

    Args:
        depends: what the mark stands for, in the message ("pictures, prompts or settings").

    Raises:
        ValueError: a file that is no checkpoint, was cut short, or has another mark.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (MemoryError, PermissionError):
        raise  # of this machine, not of the file
    except Exception as error:  # torch raises all kinds of them for a file of another kind
        raise UserError(
            f"{path} is not a checkpoint, or was cut short ({type(error).__name__}): delete it or "
            "name another file"
        ) from None
    whole = isinstance(content, dict) and content.keys() >= {"mark", "state"}
    if not whole or content.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a checkpoint of this version: delete it or name another file"
        )
    if content["mark"] != mark:
        raise UserError(
            f"{path} is a checkpoint of another run ({depends}): delete it or name another file"
        )
    return content["state"]
