"""The measure of quality: a small regressor of how damaged a picture is."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import smooth_l1_loss
from transformers import ResNetForImageClassification

from ..damages import DAMAGES, damage
from .encoders import Classifier, config
from .loop import Batch, TrainingPlan, train
from .pool import Pool
from .vae import to_tensor

CLEAN_SHARE = 0.2
TWICE_SHARE = 0.25


def spoil(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A picture with one damage or two, or none, and how damaged it is in [0, 1].

    Two damages of strengths a and b leave 1 - (1 - a)(1 - b).
    """
    if rng.random() < CLEAN_SHARE:
        return picture, 0.0
    intact = 1.0
    for _ in range(2 if rng.random() < TWICE_SHARE else 1):
        strength = float(rng.random())
        picture = damage(picture, str(rng.choice(list(DAMAGES))), strength, rng)
        intact *= 1 - strength
    return picture, 1 - intact


def fit(
    pool: Pool,
    plan: TrainingPlan,
    *,
    seed: int = 10,
) -> ResNetForImageClassification:
    """Regress the strength of damage, on a ``pool`` that no other model was trained on."""
    torch.manual_seed(seed)
    model = ResNetForImageClassification(config((24, 48, 64, 96), ["damage"]))

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        rows = rng.integers(len(pool.pictures), size=64)
        pairs = [spoil(pool.pictures[row], rng) for row in rows]
        pictures, strengths = zip(*pairs, strict=True)
        return {"pictures": np.stack(pictures), "strength": np.array(strengths, np.float32)}

    def loss_of(model: Classifier, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        guess = model(to_tensor(batch["pictures"])).float()[:, 0].sigmoid()
        return smooth_l1_loss(guess, batch["strength"], beta=0.1)

    trained = train(
        "damage",
        Classifier(model),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=2e-3,
    )
    return trained.model.cpu()
