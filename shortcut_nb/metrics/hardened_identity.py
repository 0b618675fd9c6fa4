"""Whose face it is, to an encoder that looks through noise: is a person gone, or hidden?

It is trained on pictures of which a share is degraded, so that noise over a face hides less of it
than it hides from the profile's encoder of identity.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .base import Column
from .identity import IdentityMatch
from .sample_probes import SAMPLE_PROBES, SampleProbe

COLUMN = "ims_hardened"
MEASURE = "identity-hardened"
"""What a profile calls the encoder, among its measures."""


def hardened_match(models: Any, images: Tensor, references: Tensor) -> dict[str, list[float]]:
    """The cosine in [-1, 1] of each sample to the mean of the person's clean pictures."""
    match = IdentityMatch(models.measure(MEASURE))
    return {COLUMN: match(images, references)["ims"].tolist()}


SAMPLE_PROBES.add(
    "hidden",
    SampleProbe(
        hardened_match,
        roles=(f"measure:{MEASURE}",),
        columns={COLUMN: Column("identity match, looking through noise", better="higher")},
    ),
)
