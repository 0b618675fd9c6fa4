"""Large files from the network: with progress, gone on with where they were cut off, and checked.

huggingface_hub moves the bytes. Its newer versions begin a file that was cut off anew; so a hub's
large files are brought here first, to where its cache looks for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..files import file_sha256

PAST_THE_END = 416  # HTTP's "range not satisfiable"


def download(
    url: str,
    file: Path,
    sha256: str | None = None,
    size: int | None = None,
    headers: dict[str, Any] | None = None,
) -> None:
    """Bring one file; it appears whole and with the right digest, or not at all.

    What has arrived waits beside it, under a name that ends in ".part". Of several processes that
    want the same file one brings it, and the others wait.

    Args:
        sha256: in hex; None is not checked.
        size: in bytes; None is what the server says.

    Raises:
        OSError: of the network or the disk; a digest that is not the expected one.
    """
    part = file.with_name(f"{file.name}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file.with_name(f"{file.name}.lock")):
        if file.exists():  # another process has brought it meanwhile
            return
        if sha256 is None or not part.exists() or file_sha256(part) != sha256:
            _append(url, part, headers, size)
            if sha256 is not None and (actual := file_sha256(part)) != sha256:
                part.unlink()
                raise OSError(f"invalid hash: expected sha256 {sha256}, got {actual}")
        os.replace(part, file)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time into the block; no lock stays behind."""
    with FileLock(lock):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows lets nobody delete what is open, and does so itself
                lock.unlink()


def _append(url: str, part: Path, headers: dict[str, Any] | None, size: int | None) -> None:
    """Bring what is missing of a file; all of it where the server says there is no more."""
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    arrived = part.stat().st_size if part.exists() else 0
    try:
        with part.open("ab") as stream:
            http_get(url, stream, resume_size=arrived, headers=headers, expected_size=size)
    except HfHubHTTPError as error:
        if not arrived or error.response.status_code != PAST_THE_END:
            raise
        with part.open("wb") as stream:
            http_get(url, stream, headers=headers, expected_size=size)


def download_large(name: str, commit: str, patterns: Sequence[str] = ()) -> None:
    """Bring a hub's large files into its local cache, those that are not there.

    Args:
        name: of the repository, "owner/name".
        commit: its full hash.
        patterns: of files; none is all.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import build_hf_headers

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    for path, sha256, size in _large(name, commit, patterns):
        blob = folder / "blobs" / sha256
        if not blob.exists():
            url = hf_hub_url(name, path, revision=commit)
            download(url, blob, sha256, size, build_hf_headers())


def _large(name: str, commit: str, patterns: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Path, SHA-256 and bytes of the files that a repository keeps by their SHA-256."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.utils import filter_repo_objects

    tree = HfApi().list_repo_tree(name, recursive=True, revision=commit)
    files = [entry for entry in tree if isinstance(entry, RepoFile)]
    large = {entry.path: entry.lfs for entry in files if entry.lfs}
    for path in filter_repo_objects(list(large), allow_patterns=list(patterns) or None):
        yield path, large[path].sha256, large[path].size
