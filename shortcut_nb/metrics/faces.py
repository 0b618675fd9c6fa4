"""Faces in photographs: where they are, cut out and aligned, and whose they are.

dlib (Boost licence) finds a face by histograms of gradients, turns it upright by five points, and
describes it by a network of 128 numbers whose files (CC0) come with ``face-recognition-models``.
Both are the extra "faces" and work offline.
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
from ..images import check_images, enlarged, to_u8
from ..weights.folders import DLIB_FILES

INSTALL = 'pip install "shortcut-nb[faces]"'
SAME_PERSON = 0.6
"""Below this distance two faces are one person's (King 2017: 99.38 % right on LFW)."""
CHIP, PADDING = 150, 0.25


class NoFace(UserError):
    """No reference picture has a face that the finder sees."""


Box = tuple[int, int, int, int]


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
    return [np.ascontiguousarray(x) for x in to_u8(images).permute(0, 2, 3, 1).cpu().numpy()]


@dataclass(frozen=True, eq=False)
class FaceFinder:
    """What finds one face in each picture.

    Args:
        least: pictures with a shorter side below this are enlarged to it: a face must be some
            80 pixels wide to be seen.
    """

    least: int = 256

    def faces(self, images: Tensor) -> list[Face | None]:
        """The surest face of each picture (n, 3, H, W) in [0, 1], in its own pixels; or None."""
        raise NotImplementedError

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

    def faces(self, images: Tensor) -> list[Face | None]:
        """The surest face of each picture; see :meth:`FaceFinder.faces`."""
        check_images(images)
        dlib = need_dlib()
        detector = dlib.get_frontal_face_detector()
        scale = max(1.0, self.least / min(images.shape[-2:]))
        results: list[Face | None] = []
        for array in arrays(enlarged(images, self.least)):
            boxes, scores, _ = detector.run(array, 0, self.threshold)
            results.append(_surest([_box(one, scale) for one in boxes], list(scores)))
        return results


@dataclass(frozen=True, eq=False)
class LbpFinder(FaceFinder):
    """scikit-image's cascade of local binary patterns: needs no extra, misses and errs more.

    It gives no margin: the score of a face is 1.
    """

    def faces(self, images: Tensor) -> list[Face | None]:
        """The largest face of each picture; see :meth:`FaceFinder.faces`."""
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        check_images(images)
        cascade = Cascade(lbp_frontal_face_cascade_filename())
        scale = max(1.0, self.least / min(images.shape[-2:]))
        results: list[Face | None] = []
        for array in arrays(enlarged(images, self.least)):
            sides = {"min_size": (60, 60), "max_size": array.shape[:2]}
            hits = cascade.detect_multi_scale(array, scale_factor=1.2, step_ratio=1, **sides)
            edges = [(h["c"], h["r"], h["c"] + h["width"], h["r"] + h["height"]) for h in hits]
            boxes = [tuple(round(edge / scale) for edge in box) for box in edges]
            sizes = [float(h["width"]) for h in hits]
            best = _surest(boxes, sizes)
            results.append(None if best is None else Face(best.box, 1.0))
        return results


def _box(rectangle: Any, scale: float) -> Box:
    edges = (rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom())
    return tuple(round(edge / scale) for edge in edges)


def _surest(boxes: list[Any], scores: list[float]) -> Face | None:
    if not boxes:
        return None
    best = int(np.argmax(scores))
    return Face(boxes[best], float(scores[best]))


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
        """The face of each picture, upright, (150, 150, 3) uint8; None where none was found."""
        dlib = need_dlib()
        scale = max(1.0, self.finder.least / min(images.shape[-2:]))
        large = arrays(enlarged(images, self.finder.least))
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
