"""The two CLIPs: zero-shot answers, and retrieval among pictures of people never seen."""

from __future__ import annotations

import numpy as np
import torch

from ...lab import Lab
from ...models.clip import Clip
from ..avatars import draw
from ..captions import describe
from .pictures import noisy, patterns, people, to_batch


def recall(model: Clip, seed: int, count: int) -> float:
    """How often a caption finds its own picture among ``count``, over chance.

    Captions name neither noise nor quality, so that both CLIPs have heard all of their words.
    """
    drawn = people(count, seed)
    texts = [
        describe(*one, np.random.default_rng([seed, i]), name_noise=False)
        for i, one in enumerate(drawn)
    ]
    images = to_batch([draw(*one) for one in drawn])
    best = model.similarity(images, texts).argmax(0)
    return (best == torch.arange(count)).float().mean().item() * count


@torch.inference_mode()
def clip(lab: Lab, seed: int = 0, count: int = 200) -> dict[str, float]:
    """Zero-shot accuracies and caption-to-picture retrieval."""
    clean = to_batch([draw(*one) for one in people(count, seed)])
    dirty, abstract = noisy(clean, seed, 0.15), patterns(count, seed, ("noise",))
    concept = ["a photo of a person", "a noisy pattern"]
    dirt = ["a photo of a person", "a noisy photo of a person"]
    answers = [
        lab.clip.probabilities(clean, concept).argmax(1) == 0,
        lab.clip.probabilities(abstract, concept).argmax(1) == 1,
        lab.clip.probabilities(clean, dirt).argmax(1) == 0,
        lab.clip.probabilities(dirty, dirt).argmax(1) == 1,
    ]
    return {
        "person_vs_pattern": torch.cat(answers[:2]).float().mean().item(),
        "clean_vs_noisy": torch.cat(answers[2:]).float().mean().item(),
        "recall_at_1_over_chance": recall(lab.clip, seed, count),
    }


@torch.inference_mode()
def clip_plain(lab: Lab, seed: int = 0, count: int = 200) -> dict[str, float]:
    """Retrieval of the CLIP that never heard of noise, and that of the other one beside it."""
    plain = recall(lab.measure("clip-plain"), seed, count)
    return {
        "recall_at_1_over_chance": plain,
        "recall_to_other": plain / recall(lab.clip, seed, count),
    }
