"""Open weights and say in one line what is wrong with them; the libraries come with the caller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import BadWeights

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PASSED_ON = ("OutOfMemoryError", "MissingWeights")


@contextmanager
def opening(path: str | Path, what: str) -> Iterator[None]:
    """Turn any error of a loader into one line that names the path.

    Raises:
        BadWeights: what was to be opened, where, and the loader's own reason, shortened.
    """
    try:
        yield
    except (BadWeights, MemoryError):
        raise
    except Exception as error:
        if type(error).__name__ in _PASSED_ON:
            raise
        reason = " ".join(_COLOURS.sub("", str(error)).split())
        reason = reason if len(reason) <= 200 else f"{reason[:200].rsplit(' ', 1)[0]} …"
        raise BadWeights(
            f"{path} cannot be opened as {what} ({reason or type(error).__name__}): fetch the "
            "weights again, or correct the profile."
        ) from error


def open_model(kind: Any, folder: str | Path, variant: str | None = None, **options: Any) -> Any:
    """A diffusers or transformers model from a folder, float32, every weight from the file.

    Args:
        kind: the class, or one of transformers' Auto classes.
        variant: of the file's name, such as "fp16".

    Raises:
        BadWeights: weights that are missing from the file, or of another shape.
    """
    if variant is not None:
        options["variant"] = variant
    with opening(folder, f"a {kind.__name__}"):
        model, info = kind.from_pretrained(
            str(folder),
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    names = [str(name) for name in info["missing_keys"]]
    missing = sorted(name for name in names if not name.endswith("position_ids"))
    if missing:
        raise BadWeights(
            f"{folder} holds weights of another model than its config.json says: {len(missing)} "
            f"are missing ({missing[0]}): fetch the weights again."
        )
    return model.float()
