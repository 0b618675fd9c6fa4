"""What every network of the metrics is: opened from a folder, shown pictures batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..images import check_images
from ..profile import ModelRef
from ..weights import check_weights
from ..weights.safe_opening import open_model
from .prepare import HALF, prepare


@dataclass(frozen=True, eq=False)
class PictureNetwork:
    """A transformers model of pictures, and how pictures are prepared for it.

    Args:
        size: pictures are resized to a square of so many pixels first; None leaves them.
        pixel_mean, pixel_std: by which [0, 1] is normalised.
        batch: pictures at once.
    """

    model: PreTrainedModel
    size: int | None = None
    pixel_mean: Sequence[float] = HALF
    pixel_std: Sequence[float] = HALF
    batch: int = 64

    loader: ClassVar[type]
    kind: ClassVar[str]

    @classmethod
    def from_folder(
        cls, path: str | Path, device: str | torch.device = "cpu", **options: Any
    ) -> Self:
        """Open the model that ``save_pretrained`` wrote; options are this class's fields.

        Raises:
            BadWeights: it is absent, damaged or another model.
        """
        check_weights(path, cls.kind)
        model = open_model(cls.loader, path)
        return cls(model.eval().to(device), **options)

    @classmethod
    def word(cls, field: str, ref: ModelRef | None) -> str:
        """What tables and figures call what a model gives, without opening it.

        Args:
            field: of this class, whose default stands where the profile has no option of its name.
            ref: the profile's entry of the model; None where it names none.
        """
        default = getattr(cls, field)
        return default if ref is None else str(ref.options.get(field, default))

    @torch.inference_mode()
    def outputs(self, images: Tensor, read: Callable[[Any], Tensor]) -> Tensor:
        """What ``read`` takes from the model's output, float32, for (n, 3, H, W) in [0, 1].

        Raises:
            UserError: wrong pictures.
        """
        check_images(images)
        device = next(self.model.parameters()).device
        parts = []
        for part in images.split(self.batch):
            x = prepare(part.to(device), self.size, self.pixel_mean, self.pixel_std)
            parts.append(read(self.model(x)).float().cpu())
        return torch.cat(parts)
