"""How plain diffusers opens a model of a profile: a call of a pipeline's class, as text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..weights import BadWeights, MissingWeights, ModelRef, inspect_file, resolve
from ..weights.folders import UNUSED, part_of, read_index, weight_files

HALVES = ("F16", "BF16")
IN_FLOAT32 = "torch_dtype=torch.float32"
"""What the call says where weights are in half precision; it needs torch."""


def opening_call(ref: ModelRef) -> str:
    """Such as ``from_pretrained('owner/name', variant='fp16', torch_dtype=torch.float32)``.

    It opens the weights that are opened here, in float32. Of weights that are not on this machine
    no more than the name is known.
    """
    try:
        path = resolve(ref)
    except MissingWeights:
        path = Path(os.path.expanduser(ref.id))
    inside = ref.id.startswith(("package:", "module:"))
    source = str(path) if inside else os.path.expanduser(ref.id)
    if path.is_file():
        config = ref.options.get("config")
        more = [] if config is None else [f"config={os.path.expanduser(config)!r}"]
        return f"from_single_file({', '.join([repr(source), *more])})"
    more = [f"revision={ref.revision!r}"] if ref.revision else []
    parts = [*_weights(path)]
    variants = [variant for variant, _ in parts if variant]
    more += [f"variant={variants[0]!r}"] if variants else []
    more += [IN_FLOAT32] if any(_in_half(file) for _, files in parts for file in files) else []
    return f"from_pretrained({', '.join([repr(source), *more])})"


def _weights(folder: Path) -> Iterator[tuple[str | None, list[Path]]]:
    """The variant and the files of each part of a pipeline that has weights."""
    try:
        index = read_index(folder)
    except (BadWeights, OSError):
        return
    for name, entry in index.items():
        part = part_of(folder, name)
        used = isinstance(entry, list) and entry[0] is not None and name not in UNUSED
        if used and (part / "config.json").is_file():
            yield weight_files(part, entry[0] == "diffusers")


def _in_half(file: Path) -> bool:
    return any(tensor.dtype in HALVES for tensor in inspect_file(file).values())
