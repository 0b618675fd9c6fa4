"""The miniature's ×4 latent upscaler, in the format of StableDiffusionUpscalePipeline."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from torch.nn.functional import interpolate
from transformers import CLIPTextModel, CLIPTokenizer

from ...modes import frozen
from ..captions import describe
from ..degradations import KINDS, degrade
from .diffusion import scheduler
from .encoders import to_tensor
from .latents import Latents
from .loop import min_snr_loss, train
from .pool import Pool

MAX_NOISE_LEVEL = 350
SCALING = 0.08333  # the pipeline insists on this scaling factor
FACTOR = 4


def build_unet() -> UNet2DConditionModel:
    """1.8 M parameters; sees the noisy latents beside the small picture (8 + 3 channels)."""
    return UNet2DConditionModel(
        sample_size=16, in_channels=11, out_channels=8, block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1, cross_attention_dim=128, attention_head_dim=4, norm_num_groups=16,
        num_class_embeds=1000,
    )  # fmt: skip


def rescaled(vae: AutoencoderKL) -> AutoencoderKL:
    """A copy whose latents are larger, so that ``SCALING`` brings them to the same size.

    Only the 1 × 1 convolutions at either side of the latents change: scaled latents are the same.
    """
    out = copy.deepcopy(vae)
    factor, channels = vae.config.scaling_factor / SCALING, vae.config.latent_channels
    with torch.no_grad():
        out.quant_conv.weight[:channels] *= factor
        out.quant_conv.bias[:channels] *= factor
        out.quant_conv.bias[channels:] += 2 * math.log(factor)
        out.post_quant_conv.weight /= factor
    out.register_to_config(scaling_factor=SCALING)
    return out


def fit(
    pool: Pool, latents: Latents, vae: AutoencoderKL, text: CLIPTextModel,
    tokenizer: CLIPTokenizer, folder: Path, *,
    steps: int, seconds: float | None, batch_size: int = 32, seed: int = 6, lr: float = 1e-3,
) -> StableDiffusionUpscalePipeline:  # fmt: skip
    """Train on clean latents with a small, noised, in a third of cases degraded picture beside.

    Predicts the velocity (Salimans & Ho 2022), as Stable Diffusion's upscaler does: at the noisy
    end that is the picture itself, so the small picture counts there at once. With the noise
    predicted instead, 1,200 steps of training gave pictures of other colours.
    The small picture's noise level is drawn from 0 to ``MAX_NOISE_LEVEL`` and told to the model
    (Rombach et al. 2022; Ho et al. 2022, noise conditioning augmentation).
    """
    torch.manual_seed(seed)
    model, schedule = build_unet(), scheduler("v_prediction")
    low_schedule = DDPMScheduler(
        num_train_timesteps=1000, beta_start=0.0001, beta_end=0.02, beta_schedule="scaled_linear"
    )
    scale, clean = vae.config.scaling_factor, np.flatnonzero(latents.kind == "")

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rng = np.random.default_rng(generator.initial_seed())
        rows = rng.choice(clean, size=batch_size).tolist()
        places = latents.row[rows]
        shown = [
            degrade(pool.pictures[i], str(rng.choice(KINDS)), rng) if rng.random() < 1 / 3
            else pool.pictures[i] for i in places
        ]  # fmt: skip
        side = pool.pictures.shape[1] // FACTOR
        small = interpolate(to_tensor(np.stack(shown)), (side, side), mode="bicubic",
                            antialias=True)  # fmt: skip
        level = torch.randint(0, MAX_NOISE_LEVEL, (batch_size,), generator=generator)
        small = low_schedule.add_noise(small, torch.randn(small.shape, generator=generator), level)
        said = ["" if rng.random() < 0.1 else describe(pool.who(i), pool.how(i), rng)
                for i in places]  # fmt: skip
        ids = tokenizer(said, padding="max_length", truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            words = text(ids).last_hidden_state
        z = latents.sample(rows, generator) * scale
        noise = torch.randn(z.shape, generator=generator)
        t = torch.randint(0, 1000, (batch_size,), generator=generator)
        noisy = torch.cat([schedule.add_noise(z, noise, t), small], 1)
        guess = model(noisy, t, words, class_labels=level).sample
        return min_snr_loss(schedule, guess, schedule.get_velocity(z, noise, t), t)

    with frozen(text):
        unet = train("upscaler", model, loss_of, folder, steps=steps, seconds=seconds, lr=lr)
    return StableDiffusionUpscalePipeline(
        vae=rescaled(vae), text_encoder=text, tokenizer=tokenizer, unet=unet,
        low_res_scheduler=low_schedule, scheduler=schedule, max_noise_level=MAX_NOISE_LEVEL,
    )  # fmt: skip
