"""A model as a profile names it, and the place on this machine that its name leads to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..records import Strict
from .expected import check_digests
from .files import MissingWeights
from .folders import check_weights

_TIMEOUT = 10.0  # seconds that the hub may take to answer
PACKAGE = Path(__file__).resolve().parents[1]
IN_MEMORY = "memory:"  # what Lab.from_pipeline calls a model that it was given

Loader = Literal[
    "stable-diffusion",
    "open_clip",
    "image-embedder",
    "image-classifier",
    "object-detector",
    "attributes",
    "damage",
    "unet-restorer",
    "ddpm",
    "upscaler",
    "spandrel",
    "dlib",
]
_PIXELS = ("size", "pixel_mean", "pixel_std", "batch")
# What `options` of a reference may name, by loader.
OPTIONS: dict[str, tuple[str, ...]] = {
    "stable-diffusion": ("config",),
    "image-embedder": (*_PIXELS, "measures"),
    "image-classifier": (*_PIXELS, "threshold", "finds"),
    "object-detector": (*_PIXELS, "threshold", "finds"),
    "attributes": _PIXELS,
    "damage": _PIXELS,
    "spandrel": ("file",),
    "dlib": ("threshold", "least"),
}
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelRef(Strict):
    """One model: where its weights are, who loads them, and what they must hash to.

    `id` is "package:mini/weights/..." (inside this package), "module:name/folder" (inside another
    installed package, which is not imported), a local folder, or a hub id.
    `files` are patterns of what to fetch from a hub (empty: everything). `sha256` maps file names,
    relative to the folder, to digests in hex. `url` is where a single local file is published.
    `options` go to the loader: "config" (the folder that
    a single file takes its configuration from), "size", "pixel_mean", "pixel_std", "batch" and
    "threshold" of picture networks, "file" of a folder with several checkpoints.
    """

    id: str = Field(min_length=1)
    loader: Loader
    revision: str | None = None
    url: str | None = Field(default=None, pattern=r"^https://")
    files: list[str] = Field(default_factory=list)
    sha256: dict[str, Sha256] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_options(self) -> ModelRef:
        known = OPTIONS.get(self.loader, ())
        if wrong := sorted(set(self.options) - set(known)):
            have = ", ".join(known) or "none"
            raise ValueError(f"the loader {self.loader} has no option {wrong[0]!r}; it has: {have}")
        return self


SINGLE = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
"""How names of single files end; a hub id does not."""


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
    if ref.id.startswith("module:"):
        return _in_module(ref.id.removeprefix("module:"))
    local = Path(ref.id).expanduser()
    if local.exists():
        return local
    if ref.url:
        return _from_url(ref.url, local, next(iter(ref.sha256.values()), None), download)
    if ref.id.startswith((".", "/", "~")) or ref.id.count("/") > 1:
        raise MissingWeights(
            f"there are no weights at {ref.id!r}: put the model's folder there, or name a hub id "
            "in the profile."
        )
    if local.suffix in SINGLE:
        raise MissingWeights(f"there is no file {ref.id!r}: give its path, or a folder's.")
    return _snapshot(ref, download)


def _in_module(name: str) -> Path:
    """A folder inside an installed package, found without importing it."""
    package, _, inner = name.partition("/")
    spec = find_spec(package)
    for home in (spec and spec.submodule_search_locations) or ():
        if (Path(home) / inner).exists():
            return Path(home) / inner
    raise MissingWeights(
        f"the weights {name!r} come with the package {package}, which is not installed: "
        f"pip install {package.replace('_', '-')}"
    )


def _from_url(url: str, file: Path, sha256: str | None, download: bool) -> Path:
    """A single published file; it goes on where it was cut off, and appears whole or not at all."""
    if not download:
        raise MissingWeights(
            f"there are no weights at {file}: fetch them once, with `shortcut-nb fetch PROFILE` or "
            f"`curl -L --create-dirs -o {file} {url}`."
        )
    from .download import download as bring

    try:
        bring(url, file, sha256)
    except Exception as error:  # of the network, the disk and the client
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise MissingWeights(
            f"{url} could not be fetched ({reason}): look at the network, and try again; what has "
            "arrived is kept."
        ) from None
    return file


def _snapshot(ref: ModelRef, download: bool) -> Path:
    """The folder of a hub's model in the local cache; a download is announced by a short question.

    The question fails at once where there is no network or no such model; a download by itself
    tries five times, and logs each. Large files go on where they were cut off.
    """
    from huggingface_hub import HfApi, snapshot_download

    from .download import download_large

    command = f"hf download {ref.id}" + (f" --revision {ref.revision}" if ref.revision else "")
    command += "".join(f" --include '{pattern}'" for pattern in ref.files)
    try:
        if download:
            info = HfApi().model_info(ref.id, revision=ref.revision, timeout=_TIMEOUT)
            download_large(ref.id, str(info.sha), ref.files)
        folder = snapshot_download(
            ref.id,
            revision=ref.revision,
            allow_patterns=ref.files or None,
            local_files_only=not download,
        )
    except Exception as error:  # of the network, the disk, the hub and its client
        if not download:
            raise MissingWeights(
                f"there is no {ref.id!r} in the current folder, and the hub's weights of that name "
                "are not on this machine: correct the path, or fetch them once, on a machine with "
                f"a network, with `{command}`."
            ) from None
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise MissingWeights(
            f"the weights {ref.id!r} could not be fetched ({reason}): look at the network and the "
            "name, and run it again; what has arrived is kept."
        ) from error
    return Path(folder)


def verify(ref: ModelRef) -> int:
    """Hold the files of `ref` against their SHA-256: the profile's, else those known beside them.

    Returns:
        How many files were checked (0 when no digests are known).

    Raises:
        MissingWeights: when the weights, or one listed file, are not there.
        BadWeights: when a file has another digest; names the file and both digests.
    """
    return check_digests(resolve(ref), ref.sha256 or None)


def checked(ref: ModelRef) -> Path:
    """The local folder (or file) of `ref`, after its weights were looked at: for every opener.

    What is there must be what the loader opens, whole, and have the digests that are known.

    Raises:
        MissingWeights, BadWeights: in one line, what is wrong and what to do.
    """
    path = resolve(ref)
    check_weights(path, ref.loader, ref.sha256 or None)
    return path
