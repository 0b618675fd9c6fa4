"""The miniature's pixel-space DDPM, in the format of DDPMPipeline; clean pictures only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

from .loop import Batch, TrainingPlan, min_snr_loss, train
from .pool import Pool
from .vae import to_tensor


def build_unet(size: int = 64) -> UNet2DModel:
    """1.4 M parameters, no attention above 8 × 8."""
    return UNet2DModel(
        sample_size=size,
        block_out_channels=(32, 48, 64, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=16,
        norm_num_groups=16,
    )


class PixelDenoiser(torch.nn.Module):
    """An unconditional UNet as a function of tensors."""

    def __init__(self, unet: UNet2DModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.unet(x, t).sample


def fit(
    pool: Pool,
    plan: TrainingPlan,
    *,
    batch_size: int = 16,
    seed: int = 7,
    lr: float = 1e-3,
) -> DDPMPipeline:
    """Noise prediction on linear betas (Ho et al. 2020), min-SNR weighting."""
    torch.manual_seed(seed)
    machine = plan.machine
    unet, schedule = build_unet(), DDPMScheduler(num_train_timesteps=1000)
    schedule.alphas_cumprod = schedule.alphas_cumprod.to(machine.device)

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"pictures": pool.pictures[rng.integers(len(pool.pictures), size=batch_size)]}

    def loss_of(model: PixelDenoiser, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        x = to_tensor(batch["pictures"])
        like: dict[str, Any] = {"generator": generator, "device": x.device}
        noise = torch.randn(x.shape, **like)
        # Purifiers start from little noise: three draws in four are from the first third.
        t = torch.randint(0, 1000, (len(x),), **like)
        low = torch.rand(len(x), **like) < 0.75
        t = torch.where(low, t // 3, t)
        guess = model(schedule.add_noise(x, noise, t), t)
        return min_snr_loss(schedule, guess, noise, t)

    def example() -> tuple[torch.Tensor, ...]:
        side = unet.config.sample_size
        pictures = torch.randn(batch_size, 3, side, side, device=machine.device)
        return pictures, torch.zeros(batch_size, dtype=torch.long, device=machine.device)

    trained = train(
        "pixel",
        PixelDenoiser(unet),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=lr,
        example=example,
    )
    return DDPMPipeline(unet=trained.unet.cpu(), scheduler=DDPMScheduler(num_train_timesteps=1000))
