"""What makes an output: a recipe, whose key is known before anything runs.

A recipe names a stage, the version of its code, plain parameters, and what goes in: other recipes,
or the digests of things that no stage made (model weights, photographs).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import UserError
from ..files import file_sha256

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

STAGES = ("prior", "protect", "purify", "train", "sample", "probe")
"""What is made of a cell, in this order; the folders of the store."""
HEX = frozenset("0123456789abcdef")


class Hasher(Protocol):
    """What ``hashlib`` makes, as far as it is used here."""

    def update(self, data: bytes, /) -> None:
        """Take further bytes in."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
    """What makes an output.

    Args:
        stage: a plain name (letters, digits, "-" and "_"), for instance "protect".
        version: of the stage's code; change it when the output would change.
        params: whatever :func:`plain` takes.
        inputs: by name, other recipes, or text that stands for a content (see :func:`digest`).

    Raises:
        ValueError: a stage that is no plain name.
        TypeError, ValueError: parameters without a canonical form.
    """

    stage: str
    version: str = "1"
    params: Any = dataclasses.field(default_factory=dict)
    inputs: Mapping[str, Recipe | str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.stage, "a stage")
        object.__setattr__(self, "params", plain(self.params))

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The recipe as plain values, upstream recipes by their keys: what the key is made of."""
        inputs = {
            name: thing.key if isinstance(thing, Recipe) else plain(thing)
            for name, thing in self.inputs.items()
        }
        return {
            "stage": self.stage,
            "version": self.version,
            "params": self.params,
            "inputs": inputs,
        }

    @cached_property
    def key(self) -> str:
        """The SHA-256, in hex, that names the output."""
        return recipe_key(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def recipe_key(fields: Mapping[str, Any]) -> str:
    """The key of a recipe that is written down (``stage``, ``version``, ``params``, ``inputs``).

    Raises:
        KeyError, TypeError, ValueError: when it is no recipe.
    """
    four = {name: fields[name] for name in ("stage", "version", "params", "inputs")}
    return hashlib.sha256(_text(four).encode()).hexdigest()


def check_name(name: Any, what: str) -> str:
    """A plain name: letters, digits, "-" and "_", so that it cannot leave its folder.

    Raises:
        ValueError: for any other.
    """
    if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"{what} has a plain name (letters, digits, '-', '_'); got {name!r}.")
    return name


def is_key(name: str) -> bool:
    """Whether a name has the form of a key: 64 hexadecimal digits."""
    return len(name) == 64 and HEX.issuperset(name)


def plain(value: Any) -> Any:
    """Settings as plain JSON values; each kind of settings says itself what it is made of.

    Numbers, text, lists and dicts stand for themselves. Other objects give their own form by a
    method ``plain()`` or ``model_dump()``; a dataclass by its compared fields, less those whose
    metadata says ``{"omit": True}`` while they are at their default (fields added later).

    Raises:
        TypeError: for a value with no canonical form (a tensor, a function, ...).
        ValueError: for NaN or infinity.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UserError(f"expected a finite number in a recipe; got {value}.")
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError(f"expected text keys in a recipe; got {sorted(map(repr, value))}.")
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return _settings(value)


def _settings(value: Any) -> Any:
    for own in ("plain", "model_dump"):
        method = getattr(value, own, None)
        if callable(method) and not isinstance(value, type):
            return plain(method())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {name: plain(each) for name, each in compared_fields(value).items()}
        return {"class": type(value).__name__, **named}
    raise TypeError(
        f"expected numbers, text, lists, dicts or settings in a recipe; got "
        f"{type(value).__name__}. What was not made by a stage goes in by its digest."
    )


def compared_fields(settings: Any) -> dict[str, Any]:
    """The values of a dataclass's fields that name its results, by name.

    Fields that are not compared are left out, and those that were added later while they are at
    their default, so that earlier work stays valid.
    """
    return {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.compare and not _omitted(field, settings)
    }


def _omitted(field: dataclasses.Field[Any], owner: Any) -> bool:
    """Whether a field was added later and is at its default."""
    return bool(field.metadata.get("omit")) and getattr(owner, field.name) == field.default


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return _text(plain(value))


_text = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def digest(thing: Any) -> str:
    """What stands for an array or a tensor in a recipe: the SHA-256 of type, shape and values.

    Raises:
        TypeError: for anything else, and for values whose bytes are not what they are worth
            (Python objects) or that NumPy does not have (bfloat16).
    """
    if hasattr(thing, "detach"):  # a tensor
        thing = _as_array(thing)
    if not hasattr(thing, "tobytes") or not hasattr(thing, "dtype"):
        raise TypeError(f"expected an array or a tensor to hash; got {type(thing).__name__}.")
    if thing.dtype.hasobject:
        raise TypeError(f"expected an array of numbers or text to hash; got dtype {thing.dtype}.")
    head = f"{thing.dtype}{tuple(thing.shape)}".encode()
    return hashlib.sha256(head + thing.tobytes()).hexdigest()


def _as_array(tensor: Tensor) -> np.ndarray:
    """A tensor's values as NumPy has them.

    Raises:
        TypeError: NumPy has no such numbers.
    """
    try:
        return tensor.detach().cpu().contiguous().numpy()
    except TypeError:
        raise TypeError(
            f"expected a tensor of numbers that NumPy has to hash; got {tensor.dtype}: "
            "convert it to float32."
        ) from None


def update_digest(hasher: Hasher, tensor: Tensor) -> None:
    """Feed the values of a tensor to a hash."""
    hasher.update(tensor.detach().cpu().contiguous().numpy().tobytes())


def file_digests(folder: Path, without: str = "") -> dict[str, str]:
    """The SHA-256 of every file below a folder, by relative name with "/".

    Args:
        without: the name of a file that is left out.
    """
    files = sorted(_files(os.fspath(folder)))
    return {name: file_sha256(path) for name, path in files if name != without}


def _files(folder: str, below: str = "") -> Iterator[tuple[str, str]]:
    """Every file below a folder: its relative name with "/", and its path."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{below}{entry.name}/")
            elif not entry.is_dir():  # a link to a folder is none of its files
                yield f"{below}{entry.name}", entry.path
