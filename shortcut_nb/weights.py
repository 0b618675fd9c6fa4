"""Where a model's weights lie on this machine, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PACKAGE = Path(__file__).resolve().parent
DIGESTS = "sha256.json"

Loader = Literal[
    "stable-diffusion",
    "open_clip",
    "image-embedder",
    "image-classifier",
    "object-detector",
    "unet-restorer",
    "ddpm",
    "upscaler",
    "spandrel",
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """A record that cannot change and that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelRef(Strict):
    """One model: where its weights are, who loads them, and what they must hash to.

    `id` is "package:mini/weights/..." (inside this package), a local folder, or a hub id.
    `files` are patterns of what to fetch from a hub (empty: everything). `sha256` maps file names,
    relative to the folder, to digests in hex. `options` go to the loader.
    """

    id: str = Field(min_length=1)
    loader: Loader
    revision: str | None = None
    files: list[str] = Field(default_factory=list)
    sha256: dict[str, Sha256] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


class MissingWeights(FileNotFoundError):
    """Weights that a profile names are not on this machine; the message says how to get them."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def resolve(ref: ModelRef, *, download: bool = False) -> Path:
    """The local folder (or file) that holds the weights of `ref`.

    Looks in the package, then on the disk, then in the hub's local cache. Nothing is downloaded
    unless `download` is true.

    Raises:
        MissingWeights: in one sentence, what to fetch and how.
    """
    if ref.id.startswith("package:"):
        path = PACKAGE / ref.id.removeprefix("package:")
        if not path.exists():
            raise MissingWeights(
                f"the weights {ref.id!r} are not in the package: run `make pretrain` in the "
                "repository, or install the package again."
            )
        return path
    local = Path(ref.id).expanduser()
    if local.exists():
        return local
    if ref.id.startswith((".", "/", "~")) or ref.id.count("/") > 1:
        raise MissingWeights(
            f"there are no weights at {ref.id!r}: put the model's folder there, or name a hub id "
            "in the profile."
        )
    return _snapshot(ref, download)


def _snapshot(ref: ModelRef, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    command = f"hf download {ref.id}" + (f" --revision {ref.revision}" if ref.revision else "")
    command += "".join(f" --include '{pattern}'" for pattern in ref.files)
    try:
        found = snapshot_download(
            ref.id,
            revision=ref.revision,
            allow_patterns=ref.files or None,
            local_files_only=not download,
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError):
        raise MissingWeights(
            f"the weights {ref.id!r} are not on this machine: fetch them once, on a machine with "
            f"a network, with `{command}`."
        ) from None
    return Path(found)


def expected_digests(ref: ModelRef, folder: Path) -> dict[str, str]:
    """The digests to hold the weights against: the profile's, else a sha256.json beside them.

    The file is looked for in the weights folder, then in its parent, where names start with
    the folder's own name ("diffusion/unet/model.safetensors").
    """
    if ref.sha256:
        return dict(ref.sha256)
    home = folder if folder.is_dir() else folder.parent
    if (home / DIGESTS).is_file():
        return json.loads((home / DIGESTS).read_text(encoding="utf-8"))
    if (home.parent / DIGESTS).is_file():
        every = json.loads((home.parent / DIGESTS).read_text(encoding="utf-8"))
        start = f"{home.name}/"
        return {n.removeprefix(start): d for n, d in every.items() if n.startswith(start)}
    return {}


def verify(ref: ModelRef) -> int:
    """Check every listed file of `ref` against its SHA-256.

    Returns:
        How many files were checked (0 when no digests are known).

    Raises:
        MissingWeights: when the weights, or one listed file, are not there.
        ValueError: when a file has another digest; names the file and both digests.
    """
    folder = resolve(ref)
    home = folder if folder.is_dir() else folder.parent
    wanted = expected_digests(ref, folder)
    for name, digest in sorted(wanted.items()):
        path = home / name
        if not path.is_file():
            raise MissingWeights(
                f"{name!r} is missing from the weights {ref.id!r}: fetch the weights again."
            )
        found = file_sha256(path)
        if found != digest:
            raise ValueError(
                f"{path} is not the file that the profile names: expected sha256 {digest}, got "
                f"{found}. Delete it and fetch it again, or correct the digest."
            )
    return len(wanted)


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of one file, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below `folder`, by relative name with "/"; or of a single file."""
    if folder.is_file():
        return {folder.name: file_sha256(folder)}
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
