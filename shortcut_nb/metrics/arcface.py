"""ArcFace by insightface: the embedding that most papers measure identity with.

The code is the extra "arcface" (MIT); the weights, such as antelopev2's, are for non-commercial
research only and come from insightface: a detector (scrfd_10g_bnkps.onnx) and a recogniser
(glintr100.onnx).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..images import check_images, to_pixels
from ..weights.safe_opening import opening

INSTALL = 'pip install "shortcut-nb[arcface]"'
SIZE = (640, 640)


@dataclass(frozen=True, eq=False)
class ArcFaceEncoder:
    """Describes the face in a picture by 512 numbers; cosines tell persons apart.

    The numbers are the recogniser's own, not brought to length 1: Anti-DreamBooth's ISM averages
    those of the references as they are.

    Args:
        recogniser: insightface's ArcFaceONNX.
        detector: insightface's SCRFD, or what has its ``detect``: from a BGR array to boxes
            (k, 5), left, top, right, bottom and score, and points (k, 5, 2).
    """

    recogniser: Any
    detector: Any

    @classmethod
    def open(cls, recogniser: str | Path, detector: str | Path | Any) -> ArcFaceEncoder:
        """Open two ONNX files.

        Raises:
            UserError: no insightface.
            BadWeights: a file that is no such model.
        """
        try:
            get_model = import_module("insightface.model_zoo").get_model
        except ImportError:
            raise UserError(f"ArcFace is opened by insightface, not here: {INSTALL}") from None
        providers = ["CPUExecutionProvider"]
        with opening(recogniser, "an ArcFace recogniser"):
            network = get_model(str(recogniser), providers=providers)
            if getattr(network, "taskname", "") != "recognition":
                raise UserError(f"expected a recogniser, got {type(network).__name__}")
        if isinstance(detector, (str, Path)):
            with opening(detector, "a face detector"):
                finder = get_model(str(detector), providers=providers)
                finder.prepare(-1, input_size=SIZE)
            detector = finder
        return cls(network, detector)

    def __call__(self, images: Tensor) -> Tensor:
        """Describe the largest face of (n, 3, H, W) float32 in [0, 1]: (n, 512), NaN for none."""
        check_images(images)
        crop = import_module("insightface.utils.face_align").norm_crop
        side = self.recogniser.input_size[0]
        rows: list[Tensor | None] = []
        for picture in to_pixels(images):
            bgr = np.ascontiguousarray(picture[..., ::-1])
            points = _largest(*self.detector.detect(bgr))
            if points is None:
                rows.append(None)
                continue
            aligned = crop(bgr, landmark=points, image_size=side)
            rows.append(torch.from_numpy(self.recogniser.get_feat(aligned)).float().flatten())
        width = next((len(row) for row in rows if row is not None), 512)
        nothing = torch.full((width,), float("nan"))
        return torch.stack([nothing if r is None else r for r in rows])


def _largest(boxes: np.ndarray, points: np.ndarray | None) -> np.ndarray | None:
    """The five points of the largest box, as Anti-DreamBooth takes it; None without a face."""
    if points is None or len(boxes) == 0:
        return None
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return points[int(np.argmax(areas))]
