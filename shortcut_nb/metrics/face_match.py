"""Is there a face, and is it the person's? Distances, not cosines."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from .base import Column, Needs, need_references
from .faces import INSTALL, SAME_PERSON, FaceEncoder, NoFace

log = logging.getLogger("shortcut_nb")


@dataclass(frozen=True, eq=False)
class FaceMatch:
    """Distance of each picture's face to the person's, on a real face recogniser.

    The person is the mean descriptor of the clean pictures in which a face is found. Columns:

    - ``face_distance`` ≥ 0, NaN without a face (distance given that there is a face),
    - ``same_person``: 1 where a face is there and lies within 0.6, else 0 (a failure counts),
    - ``no_face``: 1 where none was found; its mean is the face detection failure rate (FDFR).

    Where no clean picture has a face (a dog's, or seen from behind), the first two are NaN, and a
    warning says why.
    """

    encoder: FaceEncoder

    name: ClassVar[str] = "faces"
    needs: ClassVar[Needs] = "subject"
    networks: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, Column]] = {
        "face_distance": Column("distance to the person's face", better="lower"),
        "same_person": Column("face is the person's", "share of pictures", "higher"),
        "no_face": Column("no face in the photo", "share of pictures", "lower"),
    }

    @classmethod
    def open(cls, models: Any) -> FaceMatch:
        """The metric on ``models.faces``."""
        return cls(models.faces)

    @classmethod
    def available(cls, models: Any) -> bool:
        """Whether the profile names a face recogniser and the extra "faces" is installed."""
        profile = getattr(models, "profile", None)
        if profile is None or profile.faces is None:
            return False
        if find_spec("dlib") and find_spec("face_recognition_models"):
            return True
        _say_that_dlib_is_missing()
        return False

    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) against (m, 3, H, W), both float32 in [0, 1]; columns (n,).

        Raises:
            UserError: no reference picture.
        """
        references = need_references("faces", "clean pictures of the person", references)
        rows = self.encoder(images)
        missing = rows.isnan().any(dim=1).numpy()
        try:
            distance = (rows - self.encoder.mean(references)).norm(dim=1).double().numpy()
            same = (np.where(missing, np.inf, distance) <= SAME_PERSON).astype(float)
        except NoFace as error:
            log.warning("%s", error)
            distance = same = np.full(len(rows), np.nan)
        return {"face_distance": distance, "same_person": same, "no_face": missing.astype(float)}


@cache
def _say_that_dlib_is_missing() -> None:
    """Once in a process; several ask."""
    log.warning("faces are not measured, since dlib is not here: %s", INSTALL)
