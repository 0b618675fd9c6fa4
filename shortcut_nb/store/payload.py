"""What a stage leaves behind: a folder of PNG, safetensors and JSON; never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .recipe import check_name

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Payload:
    """A folder whose parts are read and written by type: pictures, tensors, JSON.

    Names are plain: letters, digits, "-" and "_".
    """

    folder: Path

    def save_images(self, name: str, images: Tensor) -> None:
        """Write pictures, (N, 3, H, W) float32 in [0, 1], as PNG; rounded to the 8-bit grid."""
        from ..images import save_folder

        save_folder(images, self._path(name, ""))

    def images(self, name: str) -> Tensor:
        """Read pictures back: (N, 3, H, W) float32 in [0, 1].

        Raises:
            FileNotFoundError: when there are none of that name.
        """
        import torch

        files = sorted(self._path(name, "").glob("*.png"))
        if not files:
            raise FileNotFoundError(f"expected pictures {name!r} in {self.folder}; found none.")
        return torch.stack([_read(path) for path in files])

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write named tensors as one safetensors file."""
        from safetensors.torch import save_file

        save_file(
            {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()},
            self._path(name, ".safetensors"),
        )

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read named tensors back, on the CPU."""
        from safetensors.torch import load_file

        return load_file(self._path(name, ".safetensors"))

    def save_json(self, name: str, value: Any) -> None:
        """Write numbers and text as JSON."""
        text = json.dumps(value, ensure_ascii=False)
        self._path(name, ".json").write_text(text + "\n", encoding="utf-8")

    def json(self, name: str) -> Any:
        """Read a JSON value back."""
        with open(self._path(name, ".json"), encoding="utf-8") as stream:
            return json.load(stream)

    def _path(self, name: str, suffix: str) -> Path:
        if check_name(name, "a part of an output") == "manifest":
            raise ValueError("a part of an output cannot be called 'manifest': choose another.")
        return self.folder / f"{name}{suffix}"


def _read(path: Path) -> Tensor:
    import numpy as np
    from PIL import Image

    from ..images import from_pixels

    with Image.open(path) as picture:
        return from_pixels(np.array(picture.convert("RGB")))
