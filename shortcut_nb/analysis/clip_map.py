"""A map of CLIP's space: pictures among the words for what they show and for what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.clip import Clip
from .concepts import CONCEPTS, prompts
from .projection import project

KINDS = ("class", "pattern")


@dataclass(frozen=True, eq=False)
class ClipMap:
    """Pictures and prompts in two dimensions, by several projections.

    Attributes:
        planes: by projection, "UMAP, seed 0", "UMAP, seed 1", "PCA": float64 (n, 2).
        labels: what each of the n points is of.
        prompts: the labels that are of prompts.
    """

    planes: dict[str, np.ndarray]
    labels: list[str]
    prompts: list[str]


def clip_map(clip: Clip, clouds: Mapping[str, Tensor], class_name: str, seed: int = 0) -> ClipMap:
    """CLIP's embeddings of pictures and of prompts for a class and for patterns, in planes.

    Pictures and prompts are each centred, since CLIP keeps them apart. UMAP depends on its seed, so
    that it is drawn with two, beside PCA.

    Args:
        clouds: pictures by label, each (k, 3, H, W) float32 in [0, 1].
        class_name: fills in the prompts of :data:`.concepts.CONCEPTS`.
        seed: of the first UMAP; the second has the next.

    Raises:
        UserError: fewer than four points.
    """
    texts_of = prompts(class_name)
    words = {
        f"prompts: {kind}": [
            text for name, (of, _) in CONCEPTS.items() if of == kind for text in texts_of[name]
        ]
        for kind in KINDS
    }
    with torch.no_grad():
        images = torch.cat([clip.image(x) for x in clouds.values()]).cpu()
        texts = torch.cat([clip.text(x) for x in words.values()]).cpu()
    vectors = torch.cat([images - images.mean(0), texts - texts.mean(0)])
    planes = {f"UMAP, seed {k}": project(vectors, seed=k) for k in (seed, seed + 1)}
    planes |= {"PCA": project(vectors, "pca")}
    labels = [label for label, cloud in (dict(clouds) | words).items() for _ in cloud]
    return ClipMap(planes, labels, list(words))
