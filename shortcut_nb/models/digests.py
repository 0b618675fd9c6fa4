"""What stands for models in cache keys: SHA-256 of files, or of weights in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..store.recipe import update_digest
from ..weights import cached_file_digests


def folder_digest(folder: Path) -> str:
    """The SHA-256 of a folder of weights: the names and digests of all its files."""
    files = cached_file_digests(folder)
    text = "\n".join(f"{name} {digest}" for name, digest in files.items())
    return hashlib.sha256(text.encode()).hexdigest()


def memory_digest(thing: Any) -> str:
    """The SHA-256 of the weights of an open model: all modules that it or its pipeline holds."""
    from torch.nn import Module

    pipe = getattr(thing, "pipe", None)
    parts = pipe.components if pipe is not None else vars(thing)
    digest = hashlib.sha256(type(thing).__name__.encode())
    for name, module in sorted(parts.items()):
        if not isinstance(module, Module):
            continue
        for key, tensor in module.state_dict().items():
            digest.update(f"{name}.{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            update_digest(digest, tensor.detach().float())
    return digest.hexdigest()
