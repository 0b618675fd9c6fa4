"""Names for work: canonical JSON of what made a thing, and digests of what went in."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from shortcut_nb.budget import Budget
from shortcut_nb.personalize.trainer import omitted
from shortcut_nb.weights import file_digests, file_sha256


def plain(value: Any) -> Any:
    """Turn parameters into plain JSON values: budgets to text, dataclasses to named fields.

    Raises:
        TypeError: for a value with no canonical form (a tensor, a function, ...).
        ValueError: for NaN or infinity.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"expected a finite number in a cache key; got {value}.")
        return value
    if isinstance(value, Budget):
        return str(value)
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)
                if f.compare and not omitted(f, value)}  # fmt: skip
        named = {name: plain(each) for name, each in held.items()}
        return {"class": type(value).__name__, **named}
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value):
            raise TypeError(f"expected text keys in a cache key; got {sorted(map(repr, value))}.")
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(
        f"expected numbers, text, lists, dicts or dataclasses in a cache key; got "
        f"{type(value).__name__}. Pass tensors and files as inputs=, which are hashed."
    )


def canonical(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def make_key(stage: str, version: str, params: Any, inputs: dict[str, str]) -> str:
    """The SHA-256, in hex, of what makes a stage's output."""
    text = canonical({"stage": stage, "version": version, "params": params, "inputs": inputs})
    return hashlib.sha256(text.encode()).hexdigest()


def digest(thing: Any) -> str:
    """What stands for an input in a key: its content, never its name or place.

    Text stands for itself (a digest made elsewhere); a tensor, a file, a folder, and anything
    with a `digest` attribute are hashed by content.

    Raises:
        TypeError: for anything else.
        FileNotFoundError: for a path that is not there.
    """
    if isinstance(thing, str):
        return thing
    if isinstance(thing, Tensor):
        flat = thing.detach().cpu().contiguous()
        head = f"{flat.dtype}{tuple(flat.shape)}".encode()
        raw = flat.reshape(-1).view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        return hashlib.sha256(head + raw).hexdigest()
    if isinstance(thing, Path):
        return _path_digest(thing)
    found = getattr(thing, "digest", None)
    if isinstance(found, str):
        return found
    raise TypeError(
        f"expected text, a tensor, a Path or a stored entry as input; got {type(thing).__name__}."
    )


def _path_digest(path: Path) -> str:
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        raise FileNotFoundError(f"expected a file or folder to hash; there is nothing at {path}.")
    files = file_digests(path)
    return hashlib.sha256(canonical(files).encode()).hexdigest()
