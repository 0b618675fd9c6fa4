"""A small restorer: a one-pass residual UNet2DModel trained on the miniature's degradations."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DModel
from torch.nn.functional import l1_loss

from ..degradations import KINDS, degrade
from .loop import Batch, TrainingPlan, train
from .pool import Pool
from .vae import to_tensor


def build() -> UNet2DModel:
    return UNet2DModel(
        sample_size=64,
        in_channels=3,
        out_channels=3,
        block_out_channels=(16, 32, 64),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=8,
        add_attention=False,
    )


class Residual(torch.nn.Module):
    """The UNet as a function of a picture alone."""

    def __init__(self, unet: UNet2DModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.unet(x, 0).sample


def fit(
    pool: Pool,
    plan: TrainingPlan,
    *,
    batch_size: int = 8,
    seed: int = 4,
) -> UNet2DModel:
    """Learn the residual ``degraded - clean`` in [-1, 1] units; never sees an attack's output.

    A sixth of the pictures is left clean, so that a clean picture comes back unchanged.
    """
    torch.manual_seed(seed)

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        clean = pool.pictures[rng.integers(len(pool.pictures), size=batch_size)]
        bad = clean.copy()
        for i in range(len(bad)):
            for _ in range(int(rng.choice([0, 1, 2], p=(0.16, 0.6, 0.24)))):
                bad[i] = degrade(bad[i], str(rng.choice(KINDS, p=(0.7, 0.1, 0.1, 0.1))), rng)
        return {"clean": clean, "bad": bad}

    def loss_of(model: Residual, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        x = to_tensor(batch["bad"])
        return l1_loss(x - model(x).float(), to_tensor(batch["clean"]))

    trained = train(
        "restorer",
        Residual(build()),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=2e-3,
    )
    return trained.unet.cpu()
