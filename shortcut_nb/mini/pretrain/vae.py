"""The miniature's autoencoders: 64 pixels to latents of 16, and the upscaler's of 32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn.functional import l1_loss, mse_loss

from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import Batch, TrainingPlan, train
from .pool import Pool

KL_WEIGHT = 1e-4


def build() -> AutoencoderKL:
    """Factor 4, eight channels; 1.5 M parameters."""
    return _build((24, 48, 96), latent_channels=8)


def build_fine() -> AutoencoderKL:
    """Factor 2, four channels: what Stable Diffusion's upscaler has, at this size."""
    return _build((24, 48), latent_channels=4)


def _build(widths: tuple[int, ...], latent_channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        latent_channels=latent_channels,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
    )


def to_tensor(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 NHWC to float32 NCHW in [-1, 1], the networks' own range."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def draw_pictures(pool: Pool, rng: np.random.Generator, size: int) -> np.ndarray:
    """A mix of 72 % clean, 20 % degraded and 8 % abstract pictures: uint8 (size, 64, 64, 3)."""
    pictures = pool.pictures[np.sort(rng.integers(len(pool.pictures), size=size))].copy()
    for i, dice in enumerate(rng.random(size)):
        if dice < 0.08:
            pictures[i] = pattern(str(rng.choice(PATTERNS)), rng)
        elif dice < 0.28:
            pictures[i] = degrade(pictures[i], str(rng.choice(KINDS, p=(0.7, 0.1, 0.1, 0.1))), rng)
    return pictures


def edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences of neighbours, down and across."""
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


class Autoencoding(torch.nn.Module):
    """Pictures to reconstructions and their KL divergence, as one call."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(
        self, pictures: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``noise`` draws from the posterior, (n, c, h, w)."""
        posterior = self.vae.encode(pictures).latent_dist
        drawn = self.vae.decode(posterior.mean + posterior.std * noise).sample
        kl = posterior.mean.square() + posterior.var - 1 - posterior.logvar
        return drawn, 0.5 * kl.mean()


def loss(model: Autoencoding, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """L1 + MSE + the L1 of the gradients + ``KL_WEIGHT`` times the KL divergence per element.

    Eyes, glasses and curls are thin: the term of the gradients is what keeps them.
    """
    config = model.vae.config
    side = pictures.shape[-1] // 2 ** (len(config.block_out_channels) - 1)
    shape = (len(pictures), config.latent_channels, side, side)
    noise = torch.randn(shape, generator=generator, device=pictures.device)
    drawn, kl = model(pictures, noise)
    drawn = drawn.float()
    gradients = sum(l1_loss(a, b) for a, b in zip(edges(drawn), edges(pictures), strict=True))
    return l1_loss(drawn, pictures) + mse_loss(drawn, pictures) + gradients + KL_WEIGHT * kl.float()


def fit(
    build_model: Callable[[], AutoencoderKL],
    pool: Pool,
    plan: TrainingPlan,
    *,
    batch_size: int = 8,
    seed: int = 0,
    name: str = "vae",
) -> AutoencoderKL:
    """Train an autoencoder and scale its latents to unit variance.

    Args:
        build_model: makes it, with random weights that the seed decides.
        name: of its checkpoint.
    """
    torch.manual_seed(seed)
    model = Autoencoding(build_model())

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"pictures": draw_pictures(pool, rng, batch_size)}

    def loss_of(model: Any, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        return loss(model, to_tensor(batch["pictures"]), generator)

    trained = train(
        name,
        model,
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=2e-3,
        ema=0.998,
    ).vae.cpu()
    some = torch.from_numpy(draw_pictures(pool, np.random.default_rng(12345), 256))
    with torch.inference_mode():
        means = [trained.encode(part).latent_dist.mean for part in to_tensor(some).split(64)]
    trained.register_to_config(scaling_factor=float(1 / torch.cat(means).std()))
    return trained
