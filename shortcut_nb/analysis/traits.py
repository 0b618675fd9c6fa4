"""Words for what a subject looks like, by zero-shot CLIP: captions that carry the identity."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from ..models.clip import Clip

# One kind a row: its words are alternatives. They fit people; give others for other things.
TRAITS = (
    tuple(
        f"{colour} hair"
        for colour in ("auburn", "black", "blonde", "brown", "pink", "white", "red", "gray")
    ),
    tuple(f"{tone} skin" for tone in ("pale", "light", "yellow", "tanned", "brown", "dark")),
    ("no glasses", "round glasses", "square glasses", "black glasses", "sunglasses"),
)


@torch.no_grad()
def traits(
    clip: Clip, images: Tensor, prompt: str, kinds: tuple[tuple[str, ...], ...] = TRAITS
) -> str:
    """Of each kind the words that CLIP finds most like the pictures, joined by "and".

    Args:
        images: (n, 3, H, W) in [0, 1], of one subject; their mean embedding decides.
        prompt: what the words are put behind with "with", such as "a photo of a person".

    Raises:
        UserError: no kinds, or a kind without words.
    """
    if not kinds or not all(kinds):
        raise UserError(f"expected kinds of traits with words in each; got {kinds!r}")
    mean = clip.image(images).mean(0)
    chosen = []
    for words in kinds:
        likeness = clip.text([f"{prompt} with {word}" for word in words]) @ mean
        chosen.append(words[int(likeness.argmax())])
    return " and ".join(chosen)
