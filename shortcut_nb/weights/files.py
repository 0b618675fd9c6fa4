"""What one weights file is, read from its first bytes: no torch, nothing unpickled."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingFile, UserError

_LARGEST_HEADER = 100_000_000  # bytes; safetensors' own limit
_FETCH = "delete it and fetch the weights again"
_CONVERT = (
    "pickles can run code when they are opened: take the .safetensors files of the same model"
)

# (first bytes, what such a file is, what to do)
_KINDS: list[tuple[bytes, str, str]] = [
    (
        b"version https://git-lfs",
        "a Git LFS pointer and not the weights that it points to",
        "run `git lfs pull` in its repository, or fetch the weights again",
    ),
    (b"\x89HDF", "an HDF5 file (Keras, TensorFlow)", "take the .safetensors files of the model"),
    (b"GGUF", "a GGUF file, quantised for llama.cpp", "take the .safetensors files of the model"),
    (b"PK\x03\x04", "a zip archive or a PyTorch pickle (.bin, .ckpt, .pt)", _CONVERT),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"\x89PNG", "a PNG picture", "name the model's weights instead"),
    (b"\xff\xd8\xff", "a JPEG picture", "name the model's weights instead"),
]


class BadWeights(UserError):
    """Weights that cannot be used; one line: where they are, what they are, what to do."""


class MissingWeights(MissingFile):
    """Weights that are not on this machine; the message says how to get them."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True)
class TensorInfo:
    """What the header of a safetensors file says of one tensor."""

    dtype: str
    shape: tuple[int, ...]


def inspect_file(path: str | Path, pickles: bool = False) -> dict[str, TensorInfo]:
    """Make sure that a file is a whole safetensors file, from its header and its length alone.

    Args:
        pickles: also let PyTorch pickles through, for readers that open them with ``weights_only``;
            nothing is known of their tensors then.

    Returns:
        The tensors by name; empty for a pickle.

    Raises:
        BadWeights: in one line, what the file is instead and what to do.
    """
    path = Path(path)
    if path.is_dir():
        raise BadWeights(f"{path} is a folder where a weights file should be: name a file in it.")
    if not path.is_file():
        link = "a link that leads nowhere" if path.is_symlink() else "missing"
        raise BadWeights(f"{path} is {link}: fetch the weights again.")
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise BadWeights(f"{path} cannot be read ({error.strerror}): change its mode.") from None
    if pickles and head.startswith((b"PK\x03\x04", b"\x80")):
        return {}
    if what := _what(head):
        raise BadWeights(f"{path} is {what[0]}: {what[1]}.")
    return _header(path)


def _what(head: bytes) -> tuple[str, str] | None:
    """What a file is and what to do, where its first bytes show that it is no safetensors file."""
    if not head:
        return "empty (0 bytes)", _FETCH
    for start, what, remedy in _KINDS:
        if head.startswith(start):
            return what, remedy
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle (.bin, .ckpt, .pt)", _CONVERT
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")):
        return "a web page (HTML) and not weights, so its download failed", _FETCH
    if not head.strip(b"\0"):
        return "full of zeros, so its download never finished", _FETCH
    if head.isascii() and len(head) >= 8 and all(c >= 32 or c in b"\t\n\r" for c in head[:8]):
        return "text and not weights", _FETCH
    if len(head) < 8:
        return f"cut short ({len(head)} bytes)", _FETCH
    return None


def _header(path: Path) -> dict[str, TensorInfo]:
    """The header of a safetensors file: 8 bytes of length, JSON, then the data it describes."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if not 2 <= length <= _LARGEST_HEADER:
            raise BadWeights(f"{path} is no safetensors file: {_FETCH}.")
        raw = stream.read(length)
    if len(raw) < length:
        raise BadWeights(
            f"{path} is no safetensors file, or is cut short ({size} of at least {8 + length} "
            f"bytes): {_FETCH}."
        )
    try:
        content = json.loads(raw)
        content.pop("__metadata__", None)
        end = max((int(entry["data_offsets"][1]) for entry in content.values()), default=0)
        tensors = {
            name: TensorInfo(str(entry["dtype"]), tuple(map(int, entry["shape"])))
            for name, entry in content.items()
        }
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise BadWeights(f"{path} is no safetensors file, or is damaged: {_FETCH}.") from None
    if size < 8 + length + end:
        raise BadWeights(
            f"{path} is cut short ({size} of {8 + length + end} bytes): fetch the weights again."
        )
    if size > 8 + length + end:
        raise BadWeights(
            f"{path} is longer than its header says ({size} bytes, not {8 + length + end}): "
            f"{_FETCH}."
        )
    if not tensors:
        raise BadWeights(f"{path} holds no weights (no tensors): fetch the weights again.")
    return tensors
