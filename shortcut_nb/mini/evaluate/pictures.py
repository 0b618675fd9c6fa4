"""Pictures to measure on: identities that no model has seen, clean, noisy, or no person at all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..avatars import Identity, Nuisance, draw, identity, nuisance
from ..degradations import PATTERNS, noise, pattern


def to_batch(pictures: list[np.ndarray]) -> Tensor:
    """uint8 (64, 64, 3) pictures as float32 (n, 3, 64, 64) in [0, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def people(
    count: int, seed: int, split: str = "held-out", first: int = 0
) -> list[tuple[Identity, Nuisance]]:
    """One fresh picture's description of each of ``count`` identities."""
    seeds = np.random.default_rng(seed).integers(1 << 40, size=count)
    numbers = range(first, first + count)
    return [(identity(split, i), nuisance(int(s))) for i, s in zip(numbers, seeds, strict=True)]


def held_out(people: int, each: int, seed: int, first: int = 0) -> tuple[Tensor, np.ndarray]:
    """``each`` fresh pictures of held-out identities, and their identity numbers."""
    person = np.repeat(np.arange(first, first + people), each)
    seeds = np.random.default_rng(seed).integers(1 << 40, size=len(person))
    drawn = [draw(identity("held-out", int(i)), nuisance(int(s))) for i, s in zip(person, seeds)]
    return to_batch(drawn), person


def noisy(images: Tensor, seed: int, amount: float = 0.1) -> Tensor:
    """The pictures under noise of a given std (0.1 is about 25 grey levels)."""
    rng = np.random.default_rng(seed)
    pixels = (images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    return to_batch([noise(one, rng, amount) for one in pixels])


def patterns(n: int, seed: int, kinds: tuple[str, ...] = PATTERNS) -> Tensor:
    """n abstract patterns."""
    rng = np.random.default_rng(seed)
    return to_batch([pattern(str(rng.choice(kinds)), rng) for _ in range(n)])
