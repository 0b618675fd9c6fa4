"""The text-to-image models: people drawn, attributes obeyed, nearness to avatars, no copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from torch import Tensor

from ...lab import Lab
from ..avatars import BACKGROUNDS, FACIAL_HAIR, GLASSES, HAIR, HAIR_COLOR, SKIN, draw, identity
from ..avatars import nuisance as nuisance_of
from ..pretrain.pool import PoolSize
from .pictures import held_out, to_batch

# By attribute: a prompt, and the values asked for with their words.
PROMPTS: dict[str, tuple[str, dict[str, str]]] = {
    "hair_color": (
        "a photo of a person with {} big hair",
        {value: HAIR_COLOR[value] for value in ("BLACK", "BLONDE", "RED", "PLATINUM")},
    ),
    "hair": (
        "a photo of a person with brown {}",
        {value: HAIR[value] for value in ("BIG_HAIR", "BOB", "FRO", "MOHAWK", "BUN")},
    ),
    "skin": (
        "a photo of a person with {} skin",
        {value: SKIN[value] for value in ("PALE", "YELLOW", "BROWN", "BLACK")},
    ),
    "facial_hair": (
        "a photo of a person with {}",
        {value: FACIAL_HAIR[value] for value in ("NONE", "BEARD_MEDIUM", "BEARD_MAGESTIC")},
    ),
    "glasses": (
        "a photo of a person with {}",
        {value: GLASSES[value] for value in ("NONE", "ROUND", "SUNGLASSES")},
    ),
    "background": (
        "a photo of a person, {} background",
        {value: value for value in ("white", "red", "blue", "green")},
    ),
}
EACH = 6


def options(lab: Lab, seed: int) -> dict[str, Any]:
    """The profile's own way of sampling."""
    return lab.profile.sampling.model_dump() | {"seed": seed}


def background_of(images: Tensor) -> np.ndarray:
    """The name of the nearest background colour, by the upper corners of each picture."""
    corners = torch.cat([images[..., :8, :8], images[..., :8, -8:]], -1).mean((2, 3))
    names = list(BACKGROUNDS)
    colours = torch.tensor([BACKGROUNDS[name] for name in names]) / 255
    return np.array(names)[torch.cdist(corners, colours).argmin(1).numpy()]


def obeyed(lab: Lab, seed: int) -> dict[str, float]:
    """By attribute: the share of pictures that show what the prompt asks for."""
    shares = {}
    for attribute, (prompt, values) in PROMPTS.items():
        hits = []
        for value, word in values.items():
            drawn = lab.diffusion.sample(prompt.format(word), EACH, **options(lab, seed))
            if attribute == "background":
                read = background_of(drawn)
            else:
                read = lab.measure("attributes").read(drawn)[attribute].to_numpy()
            hits += list(read == value)
        shares[attribute] = float(np.mean(hits))
    return shares


def kernel_distance(features: Tensor, reference: Tensor) -> float:
    """KID (Bińkowski et al. 2018): unbiased squared MMD with the kernel (x·y / d + 1)³.

    Args:
        features, reference: (n, d) and (m, d).
    """
    x, y = features.double().numpy(), reference.double().numpy()
    within = [polynomial_kernel(one, degree=3, coef0=1) for one in (x, y)]
    off_diagonal = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in within]
    return float(sum(off_diagonal) - 2 * polynomial_kernel(x, y, degree=3, coef0=1).mean())


def text_to_image(lab: Lab, seed: int = 0, n: int = 96) -> dict[str, float]:
    """Persons drawn, noise on demand, attributes obeyed, and nearness to real avatars.

    ``kid``: the kernel distance of samples to held-out avatars in the identity encoder's features;
    ``kid_real``: that of other avatars, what no model can beat.
    """
    plain = lab.diffusion.sample("a photo of a person", n, **options(lab, seed))
    dirty = lab.diffusion.sample("a noisy photo of a person", n // 4, **options(lab, seed))
    axis = ["a photo of a person", "a noisy photo of a person"]
    real, _ = held_out(400, 1, seed)
    more, _ = held_out(n, 1, seed, first=400)
    reference = lab.identity(real)
    shares = obeyed(lab, seed)
    return {
        "found": float(np.mean(lab.detector.detects(plain))),
        "noisy_prompt_is_noisy": float(
            (lab.clip.probabilities(dirty, axis)[:, 1] > 0.5).float().mean()
        ),
        "kid": kernel_distance(lab.identity(plain), reference),
        "kid_real": kernel_distance(lab.identity(more), reference),
        "obeyed": float(np.mean(list(shares.values()))),
    } | {f"obeyed_{name}": share for name, share in shares.items()}


def ensemble(lab: Lab, seed: int = 0, n: int = 48) -> dict[str, float]:
    """Persons drawn by the second text-to-image model."""
    second = lab.ensemble["ensemble:0"]
    drawn = second.sample("a photo of a person", n, **options(lab, seed))
    return {"found": float(np.mean(lab.detector.detects(drawn)))}


def copies(lab: Lab, seed: int = 0, n: int = 96) -> dict[str, float]:
    """Nearest-neighbour check: are samples closer to training pictures than fresh pictures are?

    RMSE (grey levels) of samples to the nearest of 2,000 of the training pictures, and of fresh
    held-out pictures to the same. ``closeness`` is the second's median over the first's, and
    ``closest`` the same of the nearest pair of all: one copy would be enough for it.
    """
    rows = PoolSize().rows
    some = np.random.default_rng(1).choice(len(rows), 2000, replace=False)
    pairs = [rows[place] for place in some]
    bank = to_batch([draw(identity("train", who), nuisance_of(how)) for who, how in pairs])
    sampled = lab.diffusion.sample("a photo of a person", n, **options(lab, seed))
    fresh, _ = held_out(n, 1, seed)
    sample, real = (_nearest(pictures, bank) for pictures in (sampled, fresh))
    return {
        "rmse_sample": float(sample.median()),
        "rmse_fresh": float(real.median()),
        "closeness": float(real.median() / sample.median()),
        "closest": float(real.min() / sample.min()),
    }


def _nearest(pictures: Tensor, bank: Tensor) -> Tensor:
    """RMSE in grey levels of each picture to the nearest of a bank."""
    own, others = pictures.flatten(1), bank.flatten(1)
    return torch.cdist(own, others).amin(1) * 255 / others.shape[1] ** 0.5
