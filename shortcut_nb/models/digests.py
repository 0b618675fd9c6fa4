"""What stands for models in cache keys: SHA-256 of files, or of what is in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from ..store.recipe import canonical, update_digest
from ..weights import cached_file_digests

WORDS = {"measures", "finds", "batch"}
"""Options of models that say how things are called, or how many pictures are read at once."""


def folder_digest(folder: Path, options: Mapping[str, Any] | None = None) -> str:
    """The SHA-256 of a folder of weights: the names and digests of all its files.

    Args:
        options: with which it is opened, plain values; what decides no number (WORDS) is left out,
            and a configuration's folder counts by its files.
    """
    files = cached_file_digests(folder)
    lines = [f"{name} {digest}" for name, digest in files.items()]
    deciding = {name: value for name, value in (options or {}).items() if name not in WORDS}
    config = deciding.get("config")
    if config is not None and Path(config).expanduser().is_dir():
        deciding["config"] = folder_digest(Path(config).expanduser())
    if deciding:
        lines.append(canonical(deciding))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def memory_digest(thing: Any) -> str:
    """The SHA-256 of an open model: of all that it or its pipeline holds.

    Weights count, settings (numbers, texts, sizes), a scheduler's configuration, and a tokenizer's
    vocabulary.
    """
    from torch.nn import Module

    pipe = getattr(thing, "pipe", None)
    parts = pipe.components if pipe is not None else vars(thing)
    digest = hashlib.sha256(type(thing).__name__.encode())
    for name, part in sorted(parts.items()):
        if isinstance(part, Module):
            for key, tensor in part.state_dict().items():
                digest.update(f"{name}.{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                update_digest(digest, tensor.detach().float())
        else:
            digest.update(f"{name} {_settings_of(part)}".encode())
    return digest.hexdigest()


def _settings_of(part: Any) -> str:
    """What decides the work of a part without weights, as text."""
    if hasattr(part, "get_vocab"):
        return f"{type(part).__name__} {canonical(part.get_vocab())}"
    if isinstance(getattr(part, "config", None), Mapping):
        own = {key: value for key, value in part.config.items() if not key.startswith("_")}
        return f"{type(part).__name__} {_settings_of(own)}"
    if is_dataclass(part) and not isinstance(part, type):
        own = {each.name: _settings_of(getattr(part, each.name)) for each in fields(part)}
        return f"{type(part).__name__} {canonical(own)}"
    if isinstance(part, Mapping):
        return canonical({str(key): _settings_of(value) for key, value in part.items()})
    if isinstance(part, list | tuple):
        return canonical([_settings_of(each) for each in part])
    if isinstance(part, str | int | float | bool | None):
        return repr(part)
    return type(part).__name__
