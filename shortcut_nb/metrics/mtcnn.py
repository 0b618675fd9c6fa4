"""MTCNN, a face finder of three small networks, through facenet-pytorch (MIT, weights inside).

facenet-pytorch pins old versions of torch and Pillow that it does not need: install it alone, by
``pip install --no-deps facenet-pytorch``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..images import check_images, enlarged
from .faces import Face, FaceFinder, arrays

INSTALL = "pip install --no-deps facenet-pytorch"


@dataclass(frozen=True, eq=False)
class MtcnnFinder(FaceFinder):
    """MTCNN (Zhang et al. 2016): also finds faces that are turned, and smaller ones.

    Args:
        threshold: the probability in [0, 1] from which a face counts as found.
        least: pictures with a shorter side below this are enlarged to it.
    """

    threshold: float = 0.9

    def faces(self, images: Tensor) -> list[Face | None]:
        """The surest face of each picture (n, 3, H, W) in [0, 1], in its own pixels; or None.

        Raises:
            UserError: facenet-pytorch is not installed.
        """
        check_images(images)
        try:
            network = import_module("facenet_pytorch").MTCNN(keep_all=True, device="cpu")
        except ImportError:
            raise UserError(f"MTCNN comes with facenet-pytorch, not here: {INSTALL}") from None
        scale = max(1.0, self.least / min(images.shape[-2:]))
        return [self._surest(network, one, scale) for one in arrays(enlarged(images, self.least))]

    def _surest(self, network: Any, array: Any, scale: float) -> Face | None:
        boxes, sure = network.detect(array)
        if boxes is None or float(sure.max()) < self.threshold:
            return None
        left, top, right, bottom = (round(float(v) / scale) for v in boxes[int(sure.argmax())])
        return Face((left, top, right, bottom), float(sure.max()))
