"""Faces in photographs: where they are, cut out and aligned, and whose they are.

dlib (Boost licence) finds a face by histograms of gradients, turns it upright by five points, and
describes it by a network of 128 numbers whose files (CC0) come with ``face-recognition-models``.
Both are the extra "faces" and work offline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..images import check_images, enlarged, to_pixels
from ..weights.folders import DLIB_FILES

INSTALL = 'pip install "shortcut-nb[faces]"'
SAME_PERSON = 0.6
"""Below this distance two faces are one person's (King 2017: 99.38 % right on LFW)."""
CHIP, PADDING = 150, 0.25


class NoFace(UserError):
    """No reference picture has a face that the finder sees."""


Box = tuple[int, int, int, int]
Hits = tuple[Sequence[Sequence[float]], Sequence[float]]
"""Boxes (left, top, right, bottom) in pixels, and how sure each is."""
Detect = Callable[[np.ndarray], Hits]
"""From a picture, uint8 (H, W, 3), to the faces in it."""


@dataclass(frozen=True)
class Face:
    """A face in a picture: its box (left, top, right, bottom) in pixels, and how sure that is."""

    box: Box
    score: float


def need_dlib() -> Any:
    """The dlib module.

    Raises:
        UserError: it is not installed; says what to install.
    """
    try:
        return import_module("dlib")
    except ImportError:
        raise UserError(f"faces are measured with dlib, which is not here: {INSTALL}") from None


def arrays(images: Tensor) -> list[np.ndarray]:
    """Pictures (n, 3, H, W) in [0, 1] as uint8 (H, W, 3) arrays, as dlib reads them."""
    return list(to_pixels(images))


@dataclass(frozen=True, eq=False)
class FaceFinder:
    """What finds one face in each picture.

    Args:
        least: pictures with a shorter side below this are enlarged to it: a face must be some
            80 pixels wide to be seen.
    """

    least: int = 256

    def faces(self, images: Tensor) -> list[Face | None]:
        """The surest face of each picture (n, 3, H, W) in [0, 1], in its own pixels; or None.

        Raises:
            UserError: wrong pictures, or the package of the finder is not installed.
        """
        check_images(images)
        detect = self._detector()
        large, scale = self.seen(images)
        return [_surest(*detect(array), scale) for array in large]

    def _detector(self) -> Detect:
        """Opens what finds faces; from an enlarged picture to every face that counts as found."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it finds faces")

    def seen(self, images: Tensor) -> tuple[list[np.ndarray], float]:
        """Pictures (n, 3, H, W) in [0, 1] as the finder sees them.

        Returns:
            uint8 (H', W', 3) arrays, and how many of their pixels a picture's own pixel is wide.
        """
        scale = max(1.0, self.least / min(images.shape[-2:]))
        return arrays(enlarged(images, self.least)), scale

    def __call__(self, images: Tensor) -> Tensor:
        """How sure the surest face of each picture is: scores (n,); minus infinity for none."""
        scores = [-np.inf if face is None else face.score for face in self.faces(images)]
        return torch.tensor(scores, dtype=torch.float32)

    def detects(self, images: Tensor) -> np.ndarray:
        """Whether a face was found, (n,) bool."""
        return np.array([face is not None for face in self.faces(images)], dtype=bool)


@dataclass(frozen=True, eq=False)
class HogFinder(FaceFinder):
    """dlib's frontal face detector: histograms of gradients and a linear classifier.

    The score of a face is its margin. The surest counts and not the largest: a patch on a sleeve
    can be larger than the face.

    Args:
        threshold: the margin from which a face counts as found; 0 is dlib's own.
        least: see :class:`FaceFinder`.
    """

    threshold: float = 0.0

    def _detector(self) -> Detect:
        detector = need_dlib().get_frontal_face_detector()

        def detect(array: np.ndarray) -> Hits:
            hits, scores, _ = detector.run(array, 0, self.threshold)
            boxes = [(hit.left(), hit.top(), hit.right(), hit.bottom()) for hit in hits]
            return boxes, list(scores)

        return detect


@dataclass(frozen=True, eq=False)
class LbpFinder(FaceFinder):
    """scikit-image's cascade of local binary patterns: needs no extra, misses and errs more.

    It gives no margin: the largest face counts, and its score is 1.
    """

    def _detector(self) -> Detect:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        cascade = Cascade(lbp_frontal_face_cascade_filename())

        def detect(array: np.ndarray) -> Hits:
            sides = {"min_size": (60, 60), "max_size": array.shape[:2]}
            hits = cascade.detect_multi_scale(array, scale_factor=1.2, step_ratio=1, **sides)
            if not hits:
                return [], []
            hit = max(hits, key=lambda each: each["width"])
            box = (hit["c"], hit["r"], hit["c"] + hit["width"], hit["r"] + hit["height"])
            return [box], [1.0]

        return detect


def _surest(boxes: Sequence[Sequence[float]], scores: Sequence[float], scale: float) -> Face | None:
    """The face of the highest score, in a picture's own pixels; None where there is no box."""
    if len(boxes) == 0:
        return None
    best = int(np.argmax(scores))
    left, top, right, bottom = (round(float(edge) / scale) for edge in boxes[best])
    return Face((left, top, right, bottom), float(scores[best]))


@dataclass(frozen=True, eq=False)
class FaceEncoder:
    """Describes the face in a picture by 128 numbers; near means the same person.

    Distances are Euclidean, not cosines: the network was trained so that faces of one person lie
    within 0.6 of each other.

    Args:
        points: dlib's predictor of five points, by which a face is turned upright.
        network: dlib's ResNet of 29 layers.
    """

    points: Any
    network: Any
    finder: FaceFinder

    @classmethod
    def open(cls, folder: str | Path, finder: FaceFinder | None = None, **options: Any) -> Any:
        """Open the two files of ``face-recognition-models``; options are :class:`HogFinder`'s.

        Raises:
            UserError: no dlib, or a file that is missing.
        """
        dlib = need_dlib()
        paths = [Path(folder) / name for name in DLIB_FILES]
        for path in paths:
            if not path.is_file():
                raise UserError(f"there is no {path.name} in {folder}: {INSTALL}")
        points = dlib.shape_predictor(str(paths[0]))
        network = dlib.face_recognition_model_v1(str(paths[1]))
        return cls(points, network, finder or HogFinder(**options))

    def chips(self, images: Tensor) -> list[np.ndarray | None]:
        """The face of each picture, upright, (150, 150, 3) uint8; None where none was found.

        Args:
            images: (n, 3, H, W) float32 in [0, 1].

        Raises:
            UserError: wrong pictures, or no dlib.
        """
        dlib = need_dlib()
        large, scale = self.finder.seen(images)
        cut: list[np.ndarray | None] = []
        for array, face in zip(large, self.finder.faces(images), strict=True):
            if face is None:
                cut.append(None)
                continue
            shape = self.points(array, dlib.rectangle(*(round(v * scale) for v in face.box)))
            cut.append(dlib.get_face_chip(array, shape, CHIP, PADDING))
        return cut

    def __call__(self, images: Tensor) -> Tensor:
        """Describe (n, 3, H, W) float32 in [0, 1] by (n, 128); NaN where there is no face."""
        rows = torch.full((len(images), 128), float("nan"))
        for row, chip in zip(rows, self.chips(images), strict=True):
            if chip is not None:
                row.copy_(torch.from_numpy(np.array(self.network.compute_face_descriptor(chip))))
        return rows

    def mean(self, images: Tensor) -> Tensor:
        """The person: the mean over the pictures in which a face was found, (128,).

        Raises:
            NoFace: in none of them.
        """
        rows = self(images)
        rows = rows[~rows.isnan().any(dim=1)]
        if len(rows) == 0:
            raise NoFace(
                f"no face was found in any of {len(images)} reference pictures: give photos in "
                "which the person's face is seen from the front"
            )
        return rows.mean(dim=0)
