"""Scores as the literature's own codes work them out, so that numbers can be set beside theirs.

Three scores go by nearly one name. Told apart:

- Anti-DreamBooth's ISM leaves pictures without a face out of the mean: a model that draws one good
  face and fifteen ruins scores high. Read it with FDFR, never alone.
- MetaCloak's IMS counts a face only within a library's threshold, so it takes values in {−1} and
  [0.6, 1]: a distance of 0.41 is worth as much as no face. A picture without a face is not −1 by
  rule: its detector falls back to the whole picture.
- DiffShortcut's IMS mixes the second with another embedding's, 0.3 to 0.7; which embedding that is
  (IMS_IP) its repository does not say. Here it is whatever is handed in.

Embeddings are (n, d), with NaN rows where no face was found, as :class:`.faces.FaceEncoder` gives
them. ArcFace and VGG-Face are meant for cosines; dlib's descriptors for distances.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..errors import UserError
from ..models.clip import Clip

VGG_THRESHOLD = 0.40
"""DeepFace's threshold on the cosine distance of VGG-Face embeddings."""
NO_MATCH = -1.0


def found_rows(embeddings: Tensor) -> Tensor:
    """Whether a face was found in each picture, (n,) bool."""
    return ~embeddings.isnan().any(dim=1)


def fdfr(embeddings: Tensor) -> float:
    """Face detection failure rate, in [0, 1] (Anti-DreamBooth, Van Le et al. 2023).

    Raises:
        UserError: no picture.
    """
    _some(embeddings, "pictures")
    return 1 - found_rows(embeddings).float().mean().item()


def ism(embeddings: Tensor, references: Tensor) -> float:
    """Identity score matching (Anti-DreamBooth): mean cosine over the pictures with a face.

    Args:
        embeddings: (n, d) of generated pictures.
        references: (m, d) of clean pictures of the person (its code takes sets A and B); their mean
            is taken as it is, without bringing each to length 1 first.

    Returns:
        In [-1, 1]; NaN where no picture has a face (its code gives None, and FDFR 1).

    Raises:
        UserError: no reference picture with a face.
    """
    person = references[found_rows(references)]
    _some(person, "reference pictures with a face")
    rows = embeddings[found_rows(embeddings)]
    if len(rows) == 0:
        return float("nan")
    return cosine_similarity(rows, person.mean(dim=0)[None]).mean().item()


def ims_thresholded(
    embeddings: Tensor, references: Tensor, threshold: float = VGG_THRESHOLD
) -> np.ndarray:
    """MetaCloak's IMS of each picture: 1 − the mean distance of the references within a threshold.

    Args:
        embeddings: (n, d) of generated pictures.
        references: (m, d) of clean pictures (its code takes set C).
        threshold: on the cosine distance, of the face library.

    Returns:
        (n,), −1 where no reference is within the threshold, or where there is no face.

    Raises:
        UserError: no reference picture with a face.
    """
    person = references[found_rows(references)]
    _some(person, "reference pictures with a face")
    cosine = cosine_similarity(embeddings[:, None], person[None], dim=-1)
    distance = (1 - cosine).double().numpy()
    near = distance <= threshold  # NaN is never near
    total = np.where(near, distance, 0).sum(axis=1)
    counted = near.sum(axis=1)
    return np.where(counted > 0, 1 - total / np.maximum(counted, 1), NO_MATCH)


@torch.no_grad()
def clip_iqac(clip: Clip, images: Tensor, kind: str = "face") -> np.ndarray:
    """CLIP_IQAC (MetaCloak): probability of "a good photo of KIND" less that of "a bad photo".

    Args:
        images: (n, 3, H, W) float32 in [0, 1].
        kind: its code says "face" for persons, else the class.

    Returns:
        (n,) in [-1, 1]; logits are cosines times 100.
    """
    cosine = clip.similarity(images, [f"a good photo of {kind}", f"a bad photo of {kind}"])
    good, bad = (100 * cosine).softmax(dim=-1).double().cpu().numpy().T
    return good - bad


def diffshortcut_ims(ip: np.ndarray, vgg: np.ndarray) -> np.ndarray:
    """DiffShortcut's IMS: 0.7 of one embedding's match and 0.3 of VGG-Face's thresholded one."""
    return 0.7 * np.asarray(ip) + 0.3 * np.asarray(vgg)


def diffshortcut_q(liqe: np.ndarray, iqac: np.ndarray) -> np.ndarray:
    """DiffShortcut's Q, in [-1, 1]: half from LIQE (1 to 5), half from CLIP_IQAC (-1 to 1)."""
    return (np.asarray(liqe) - 3) / 4 + np.asarray(iqac) / 2


def diffshortcut_score(ims: np.ndarray, q: np.ndarray) -> np.ndarray:
    """DiffShortcut's overall score: the mean of IMS and Q."""
    return (np.asarray(ims) + np.asarray(q)) / 2


def _some(rows: Tensor, what: str) -> None:
    if len(rows) == 0:
        raise UserError(f"expected {what}, got none")
