"""Finished models go into their own folder at once, in float16, with their digests."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ...files import file_sha256
from .text_keys import make_portable


def publish(into: Path, name: str, save: Callable[[Path], object]) -> None:
    """Write a model's folder beside the old one, then swap; refresh ``sha256.json``.

    The old folder is deleted once the new one is in its place.
    """
    fresh, final = into / f".{name}", into / name
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save(fresh)
    make_portable(fresh)
    for path in fresh.rglob("config.json"):  # diffusers notes where a part was read from
        config = json.loads(path.read_text())
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n")
    digests = {
        str(path.relative_to(fresh)): file_sha256(path)
        for path in sorted(fresh.rglob("*.safetensors"))
    }
    (fresh / "sha256.json").write_text(json.dumps(digests, indent=2) + "\n")
    _swap(fresh, final)


def _swap(fresh: Path, final: Path) -> None:
    """Put a folder in another's place; the other comes back where that fails."""
    old = final.with_name(f".{final.name}.old")
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
    try:
        fresh.rename(final)
    except OSError:
        if old.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def halved(pipe: Any) -> Any:
    """A copy of a pipeline in float16; its parts may be shared with models still in use."""
    return copy.deepcopy(pipe).to(torch.float16)
