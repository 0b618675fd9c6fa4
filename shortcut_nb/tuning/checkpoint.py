"""The one checkpoint format: what an attack or a training needs to go on after it was killed.

A file of tensors, numbers, text, lists and dictionaries, opened with ``weights_only``: nothing in
it can run. It carries a mark of all that made it, and goes on with nothing else.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import writing

FORMAT = "shortcut_nb checkpoint 1"


def save_checkpoint(path: Path, mark: str, state: dict[str, Any]) -> None:
    """Write a state, atomically. ``mark`` stands for all that the state depends on."""
    content = {"format": FORMAT, "mark": mark, "state": state}
    with writing(path) as fresh:
        torch.save(content, fresh)


def load_checkpoint(path: Path, mark: str, depends: str) -> dict[str, Any]:
    """The state of a file, on the CPU.

    Args:
        depends: what the mark stands for, in the message ("pictures, prompts or settings").

    Raises:
        ValueError: a file that is no checkpoint, was cut short, or has another mark.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} is not a checkpoint, or was cut short ({type(error).__name__}): delete it or "
            "name another file"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a checkpoint of this version: delete it or name another file"
        )
    if content["mark"] != mark:
        raise UserError(
            f"{path} is a checkpoint of another run ({depends}): delete it or name another file"
        )
    return content["state"]
