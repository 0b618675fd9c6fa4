"""The miniature's AutoencoderKL: 64×64 pictures to 16×16 latents of 8 channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn.functional import l1_loss

from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import train
from .pool import Pool


def build() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
    )


def batch(pool: Pool, generator: torch.Generator, size: int) -> torch.Tensor:
    """A mix of 72 % clean, 20 % degraded and 8 % abstract pictures: (size, 3, 64, 64), [-1, 1]."""
    rng = np.random.default_rng(generator.initial_seed())
    pictures = pool.pictures[rng.integers(len(pool.pictures), size=size)].copy()
    for i, dice in enumerate(rng.random(size)):
        if dice < 0.08:
            pictures[i] = pattern(str(rng.choice(PATTERNS)), rng)
        elif dice < 0.28:
            pictures[i] = degrade(pictures[i], str(rng.choice(KINDS, p=(0.7, 0.1, 0.1, 0.1))), rng)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def loss(model: AutoencoderKL, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """L1 + half the L1 of the gradients + 2e-4 times the (per-element) KL divergence."""
    posterior = model.encode(pictures).latent_dist
    drawn = model.decode(posterior.sample(generator)).sample
    gradients = sum(l1_loss(a, b) for a, b in zip(edges(drawn), edges(pictures), strict=True))
    kl = posterior.kl().mean() / posterior.mean[0].numel()
    return l1_loss(drawn, pictures) + 0.5 * gradients + 2e-4 * kl


def fit(pool: Pool, folder: Path, *, steps: int, seconds: float | None, seed: int = 0):
    """Train the VAE and set its scaling factor so that latents have unit variance."""
    torch.manual_seed(seed)
    model = build()

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        return loss(model, batch(pool, generator, 16), generator)

    model = train("vae", model, loss_of, folder, steps=steps, seconds=seconds, lr=2e-3, ema=0.998)
    with torch.inference_mode():
        some = batch(pool, torch.Generator().manual_seed(12345), 256)
        std = torch.cat([model.encode(part).latent_dist.mean for part in some.split(64)]).std()
    model.register_to_config(scaling_factor=float(1 / std))
    return model
