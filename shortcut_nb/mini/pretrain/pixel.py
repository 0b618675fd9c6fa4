"""The miniature's pixel-space DDPM, in the format of DDPMPipeline; clean pictures only."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

from .encoders import to_tensor
from .loop import min_snr_loss, train
from .pool import Pool


def build_unet(size: int = 64) -> UNet2DModel:
    """1.4 M parameters, no attention above 8 × 8."""
    return UNet2DModel(
        sample_size=size, block_out_channels=(32, 48, 64, 64), layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=16, norm_num_groups=16,
    )  # fmt: skip


def fit(
    pool: Pool, folder: Path, *, steps: int, seconds: float | None, batch_size: int = 16,
    seed: int = 7, lr: float = 1e-3,
) -> DDPMPipeline:  # fmt: skip
    """Noise prediction on linear betas (Ho et al. 2020), min-SNR weighting."""
    torch.manual_seed(seed)
    model, schedule = build_unet(), DDPMScheduler(num_train_timesteps=1000)

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rows = torch.randint(len(pool.pictures), (batch_size,), generator=generator).numpy()
        x = to_tensor(pool.pictures[rows])
        noise = torch.randn(x.shape, generator=generator)
        # Purifiers start from little noise: three draws in four are from the first third.
        t = torch.randint(0, 1000, (batch_size,), generator=generator)
        low = torch.rand(batch_size, generator=generator) < 0.75
        t = torch.where(low, t // 3, t)
        guess = model(schedule.add_noise(x, noise, t), t).sample
        return min_snr_loss(schedule, guess, noise, t)

    unet = train("pixel", model, loss_of, folder, steps=steps, seconds=seconds, lr=lr)
    return DDPMPipeline(unet=unet, scheduler=schedule)
