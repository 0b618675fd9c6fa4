"""Where CLIP sees a picture: near its concept, or near noise."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..models.clip import Clip

CONCEPT = "a photo of a person"
NOISE = "a noisy pattern"


@torch.no_grad()
def clip_shift(
    clip: Clip,
    images: Tensor,
    concept: str = CONCEPT,
    noise: str = NOISE,
    reference: Tensor | None = None,
    paired: bool = True,
) -> pd.DataFrame:
    """Measure the latent mismatch of pictures (Rethinking and Red-Teaming Protective
    Perturbation, section on latent mismatch): how far they have gone from concept to noise.

    Args:
        images: (n, 3, H, W) float32 in [0, 1].
        concept, noise: the two prompts. Their difference is the axis.
        reference: clean pictures in [0, 1]; n of them when ``paired``, else any number, whose
            mean embedding is used.
        paired: whether reference i belongs to picture i.

    Returns:
        One row per picture:

        - ``image``: its index;
        - ``concept_similarity``, ``noise_similarity``: cosines in [-1, 1];
        - ``concept_probability``: softmax over the two prompts with the model's scale, [0, 1];
        - ``projection``: along the unit axis from concept to noise, [-1, 1];
        - ``orthogonal``: length of the embedding across the axis, [0, 1];

        and, with a reference, of the shift "embedding minus reference embedding":

        - ``concept_change``, ``noise_change``: change of the two similarities;
        - ``shift``: its length; ``shift_projection``: along the axis, positive towards noise;
          ``shift_orthogonal``: its length across the axis.

    Raises:
        UserError: the two prompts embed alike, or a paired reference of another length.
    """
    words = clip.text([concept, noise])
    axis = words[1] - words[0]
    if axis.norm() < 1e-6:
        raise UserError(f"expected prompts with different meanings, got {concept!r}, {noise!r}")
    axis = F.normalize(axis, dim=0)
    embedded = clip.image(images)
    similarity = embedded @ words.T
    along, across = along_and_across(embedded, axis)
    columns = {
        "image": torch.arange(len(embedded)),
        "concept_similarity": similarity[:, 0],
        "noise_similarity": similarity[:, 1],
        "concept_probability": (clip.scale * similarity).softmax(dim=-1)[:, 0],
        "projection": along,
        "orthogonal": across,
    }
    if reference is not None:
        shift = embedded - _before(clip, reference, len(images) if paired else None)
        along, across = along_and_across(shift, axis)
        change = shift @ words.T
        columns |= {
            "concept_change": change[:, 0],
            "noise_change": change[:, 1],
            "shift": shift.norm(dim=-1),
            "shift_projection": along,
            "shift_orthogonal": across,
        }
    return pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()})


def _before(clip: Clip, reference: Tensor, count: int | None) -> Tensor:
    """Embeddings of so many references, one for each picture; None is the mean of any number."""
    if count is None:
        return clip.image(reference).mean(dim=0, keepdim=True)
    if len(reference) != count:
        raise UserError(
            f"expected one reference for each of {count} pictures, got {len(reference)}: match "
            "them, or pass paired=False"
        )
    return clip.image(reference)


def along_and_across(vectors: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """Signed length along a unit axis, and length across it; both (n,)."""
    along = vectors @ axis
    return along, (vectors - along[:, None] * axis).norm(dim=-1)
