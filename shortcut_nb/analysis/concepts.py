"""What CLIP calls a picture, among a few concepts: the class, clean or spoilt, or a pattern.

Two prompts cannot tell "a noisy photo of a person" from "a noisy pattern". More concepts can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..models.clip import Clip

CLASS = "class"
PATTERN = "pattern"
# concept: (what it shows, its prompts). Plain words, which every CLIP knows, small ones too.
CONCEPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "clean": (
        CLASS,
        ("a photo of a {0}", "a picture of a {0}", "a portrait of a {0}", "a good photo of a {0}"),
    ),
    "noisy": (CLASS, ("a noisy photo of a {0}", "a photo of a {0}, with noisy pattern")),
    "blurry": (CLASS, ("a blurry photo of a {0}", "a photo of a {0}, with blur")),
    "low resolution": (CLASS, ("a lowres photo of a {0}", "a photo of a {0}, with low resolution")),
    "compressed": (CLASS, ("a jpeg artifact photo of a {0}", "a photo of a {0}, with artifact")),
    "noisy pattern": (PATTERN, ("a noisy pattern", "noisy abstract pattern", "a photo of noise")),
    "abstract pattern": (
        PATTERN,
        (
            "an abstract pattern",
            "an abstract pattern of stripes",
            "an abstract pattern of squares",
            "an abstract pattern of blobs",
        ),
    ),
    "background": (PATTERN, ("a plain background", "an abstract background")),
}


def prompts(class_name: str = "person") -> dict[str, tuple[str, ...]]:
    """The prompts of every concept in :data:`CONCEPTS`, with the class word filled in."""
    return {
        name: tuple(text.format(class_name) for text in texts)
        for name, (_, texts) in CONCEPTS.items()
    }


def ensemble(clip: Clip, concepts: Mapping[str, Sequence[str]]) -> Tensor:
    """One unit vector per concept, (k, d): the mean of its prompts' embeddings, brought to length 1
    (prompt ensembling in embedding space, Radford et al. 2021, 3.1.4).

    Raises:
        UserError: when there are no concepts, or one has no prompts.
    """
    if not concepts:
        raise UserError("expected at least one concept with its prompts, got none")
    return torch.stack([F.normalize(clip.text(list(t)).mean(0), dim=0) for t in concepts.values()])


@torch.no_grad()
def concept_probabilities(clip: Clip, images: Tensor, class_name: str = "person") -> pd.DataFrame:
    """Zero-shot probabilities over :data:`CONCEPTS` by prompt ensembles.

    Args:
        images: (n, 3, H, W) float32 in [0, 1].
        class_name: the class word of the prompts.

    Returns:
        One row per picture and concept:

        - ``image``: its index; ``concept``: a name of :data:`CONCEPTS`;
        - ``shows``: "class" or "pattern";
        - ``similarity``: cosine to the concept's ensemble, [-1, 1];
        - ``probability``: softmax over the concepts with the model's own scale, [0, 1].
    """
    similarity = clip.image(images) @ ensemble(clip, prompts(class_name)).T
    probability = (clip.scale * similarity).softmax(dim=-1)
    shows = {name: kind for name, (kind, _) in CONCEPTS.items()}
    return pd.DataFrame(
        {
            "image": torch.arange(len(images)).repeat_interleave(len(shows)).numpy(),
            "concept": [*shows] * len(images),
            "shows": [*shows.values()] * len(images),
            "similarity": similarity.flatten().cpu().numpy(),
            "probability": probability.flatten().cpu().numpy(),
        }
    )
