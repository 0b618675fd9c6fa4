"""How large weights are, from the headers of their files: nothing is opened."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .files import BadWeights, inspect_file
from .folders import weight_files

TRAINED = ("unet", "text_encoder", "text_encoder_2")
FLOAT32 = 4


def count_weights(path: Path) -> int:
    """How many numbers a safetensors file holds.

    Raises:
        BadWeights: it is no whole safetensors file.
    """
    return sum(math.prod(tensor.shape) for tensor in inspect_file(path).values())


def side_of(folder: Path) -> int | None:
    """Side of the pictures that a pipeline in diffusers' form was trained on, in pixels.

    None where its files do not say, as a single file's do not.
    """
    try:
        size = _config(folder, "unet")["sample_size"]
        blocks = _config(folder, "vae")["block_out_channels"]
    except (OSError, KeyError, ValueError):
        return None
    return size * 2 ** (len(blocks) - 1) if isinstance(size, int) else None


def _config(folder: Path, part: str) -> dict[str, Any]:
    return json.loads((folder / part / "config.json").read_text("utf-8"))


def trained_bytes(folder: Path) -> int:
    """Bytes of a pipeline's UNet and text encoders in float32, as training has them.

    Args:
        folder: in diffusers' form; or one file, whose every weight is counted; of anything else 0
            is known.
    """
    if folder.is_file():
        return FLOAT32 * count_weights(folder) if folder.suffix == ".safetensors" else 0
    files = [path for part in TRAINED for path in _files(folder, part)]
    return sum(FLOAT32 * count_weights(path) for path in files)


def _files(folder: Path, part: str) -> list[Path]:
    """The weights of a part that are opened, all shards of them; [] where there are none."""
    try:
        return weight_files(folder / part, part == "unet")[1]
    except (BadWeights, OSError):
        return []
