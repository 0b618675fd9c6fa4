"""Which SHA-256 a model's files should have, and whether they do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .digests import known_sha256
from .files import BadWeights, MissingWeights

DIGESTS = "sha256.json"


def known_digests(path: Path) -> dict[str, str]:
    """The expected SHA-256 of files below a folder (or beside a file), by name; {} without any.

    From a sha256.json there; or in the folder above, where names start with the folder's own name
    ("diffusion/unet/model.safetensors"); or from the hub, whose cache names large files by their
    SHA-256.
    """
    home = path if path.is_dir() else path.parent
    if (home / DIGESTS).is_file():
        return _read(home / DIGESTS)
    if (home.parent / DIGESTS).is_file():
        start = f"{home.name}/"
        every = _read(home.parent / DIGESTS)
        return {n.removeprefix(start): d for n, d in every.items() if n.startswith(start)}
    return _hub_digests(home)


def check_digests(path: Path, wanted: Mapping[str, str] | None = None) -> int:
    """Hold files against their SHA-256, worked out once per file and machine.

    Args:
        path: the folder, or a file of it.
        wanted: by name relative to the folder; None is :func:`known_digests`.

    Returns:
        How many files were checked (0 when no digests are known).

    Raises:
        MissingWeights: when a listed file is not there.
        BadWeights: when a file has another digest; names the file and both digests.
    """
    home = path if path.is_dir() else path.parent
    wanted = known_digests(path) if wanted is None else wanted
    for name, digest in sorted(wanted.items()):
        file = home / name
        if not file.is_file():
            raise MissingWeights(f"{name!r} is missing from {home}: fetch the weights again.")
        actual = known_sha256(file)
        if actual != digest:
            raise BadWeights(
                f"{file} is not the file that it should be: expected sha256 {digest}, "
                f"got {actual}. Delete {file.resolve()} and fetch it again, or correct the digest."
            )
    return len(wanted)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in content.items()}
    except (OSError, ValueError, AttributeError):
        raise BadWeights(f"{path} is no list of digests: fetch the weights again.") from None


def _hub_digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in folder.rglob("*.safetensors"):
        blob = Path(os.path.realpath(path))
        if blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name):
            digests[path.relative_to(folder).as_posix()] = blob.name
    return digests
