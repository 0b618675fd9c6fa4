"""The miniature's UNet, trained on cached latents and a finished text encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from ...modes import frozen
from .latents import Latents, Shares, caption
from .loop import min_snr_loss, train
from .pool import Pool


def scheduler(prediction_type: str = "epsilon") -> DDIMScheduler:
    """Stable Diffusion's betas; DDIM, since twenty deterministic steps are enough here."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
        prediction_type=prediction_type,
    )  # fmt: skip


def build_unet(widths: tuple[int, int, int] = (64, 128, 128)) -> UNet2DConditionModel:
    """6.7 M parameters at the default widths."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=widths,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def fit(
    pool: Pool, latents: Latents, vae: AutoencoderKL, text: CLIPTextModel,
    tokenizer: CLIPTokenizer, folder: Path, *,
    steps: int, seconds: float | None, batch_size: int = 32, seed: int = 0, lr: float = 1e-3,
    widths: tuple[int, int, int] = (64, 128, 128), name: str = "unet",
) -> StableDiffusionPipeline:  # fmt: skip
    """Train on cached latents with min-SNR weighting (Hang et al. 2023, γ = 5), 10 % empty prompts.

    Returns the whole pipeline with averaged weights.
    """
    torch.manual_seed(seed)
    model, noise_schedule, shares = build_unet(widths), scheduler(), Shares(pool, latents)
    scale = vae.config.scaling_factor

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rng = np.random.default_rng(generator.initial_seed())
        rows = shares.draw(batch_size, rng)
        said = ["" if rng.random() < 0.1 else caption(pool, latents, i, rng) for i in rows]
        ids = tokenizer(said, padding="max_length", truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            words = text(ids).last_hidden_state
        z = latents.sample(rows, generator) * scale
        noise = torch.randn(z.shape, generator=generator)
        t = torch.randint(0, 1000, (batch_size,), generator=generator)
        guess = model(noise_schedule.add_noise(z, noise, t), t, words).sample
        return min_snr_loss(noise_schedule, guess, noise, t)

    with frozen(text):
        unet = train(name, model, loss_of, folder, seed=seed, steps=steps, seconds=seconds, lr=lr)
    return StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
        scheduler=scheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
