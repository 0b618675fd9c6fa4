"""A small restorer: a one-pass residual UNet2DModel trained on the miniature's degradations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DModel
from torch.nn.functional import l1_loss

from ..degradations import KINDS, degrade
from .encoders import to_tensor
from .loop import train
from .pool import Pool


def build() -> UNet2DModel:
    return UNet2DModel(
        sample_size=64, in_channels=3, out_channels=3, block_out_channels=(16, 32, 64),
        down_block_types=("DownBlock2D",) * 3, up_block_types=("UpBlock2D",) * 3,
        layers_per_block=1, norm_num_groups=8, add_attention=False,
    )  # fmt: skip


def fit(pool: Pool, folder: Path, *, steps: int, seconds: float | None, seed: int = 4):
    """Learn the residual ``degraded - clean`` in [-1, 1] units; never sees an attack's output.

    A sixth of the pictures is left clean, so that a clean picture comes back unchanged.
    """
    torch.manual_seed(seed)
    model = build()

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rng = np.random.default_rng(generator.initial_seed())
        clean = pool.pictures[rng.integers(len(pool.pictures), size=8)]
        bad = clean.copy()
        for i in range(len(bad)):
            for _ in range(int(rng.choice([0, 1, 2], p=(0.16, 0.6, 0.24)))):
                bad[i] = degrade(bad[i], str(rng.choice(KINDS, p=(0.7, 0.1, 0.1, 0.1))), rng)
        x = to_tensor(bad)
        return l1_loss(x - model(x, 0).sample, to_tensor(clean))

    return train("restorer", model, loss_of, folder, steps=steps, seconds=seconds, lr=2e-3)
