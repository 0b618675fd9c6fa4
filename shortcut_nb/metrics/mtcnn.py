"""MTCNN, a face finder of three small networks, through facenet-pytorch (MIT, weights inside).

facenet-pytorch pins old versions of torch and Pillow that it does not need: install it alone, by
``pip install --no-deps facenet-pytorch``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from ..errors import UserError
from .faces import Detect, FaceFinder, Hits

INSTALL = "pip install --no-deps facenet-pytorch"


@dataclass(frozen=True, eq=False)
class MtcnnFinder(FaceFinder):
    """MTCNN (Zhang et al. 2016): also finds faces that are turned, and smaller ones.

    Args:
        threshold: the probability in [0, 1] from which a face counts as found.
        least: pictures with a shorter side below this are enlarged to it.
    """

    threshold: float = 0.9

    def _detector(self) -> Detect:
        try:
            network = import_module("facenet_pytorch").MTCNN(keep_all=True, device="cpu")
        except ImportError:
            raise UserError(f"MTCNN comes with facenet-pytorch, not here: {INSTALL}") from None

        def detect(array: np.ndarray) -> Hits:
            boxes, sure = network.detect(array)
            if boxes is None or float(sure.max()) < self.threshold:
                return [], []
            return boxes, sure

        return detect
