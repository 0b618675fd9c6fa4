"""The miniature's UNet, trained on cached latents and a finished text encoder."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from ...tuning.modes import frozen
from .latents import Latents, Shares, caption, sample
from .loop import Batch, TrainingPlan, min_snr_loss, train
from .pool import Pool
from .tokenizer import MAX_LENGTH, encode

EMPTY_SHARE = 0.1


def scheduler(prediction_type: str = "epsilon") -> DDIMScheduler:
    """Stable Diffusion's betas; DDIM, since twenty deterministic steps are enough here."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
        prediction_type=prediction_type,
    )


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


class Denoiser(torch.nn.Module):
    """A conditional UNet as a function of tensors, which a CUDA graph can record."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        return self.unet(x, t, words).sample


def example(unet: UNet2DConditionModel, batch_size: int, device: str) -> tuple[torch.Tensor, ...]:
    """Inputs of a training step's shapes."""
    config = unet.config
    side = config.sample_size
    return (
        torch.randn(batch_size, config.in_channels, side, side, device=device),
        torch.zeros(batch_size, dtype=torch.long, device=device),
        torch.randn(batch_size, MAX_LENGTH, config.cross_attention_dim, device=device),
    )


def draw_batch(
    pool: Pool,
    latents: Latents,
    shares: Shares,
    tokenizer: CLIPTokenizer,
    size: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Posteriors of pictures, each kind with its share, and captions, a tenth of them empty."""
    rows = shares.draw(size, rng)
    empty = rng.random(size) < EMPTY_SHARE
    texts = ["" if none else caption(pool, latents, i, rng) for i, none in zip(rows, empty)]
    return latents.arrays(rows) | {"ids": encode(tokenizer, texts)}


def fit(
    pool: Pool,
    latents: Latents,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    plan: TrainingPlan,
    *,
    batch_size: int = 32,
    seed: int = 0,
    lr: float = 1e-3,
    widths: tuple[int, int, int] = (64, 128, 128),
    name: str = "diffusion",
    start: UNet2DConditionModel | None = None,
) -> StableDiffusionPipeline:
    """Train on cached latents with min-SNR weighting (Hang et al. 2023, γ = 5), 10 % empty prompts.

    From ``start``, if given, or from a new UNet of these ``widths``.
    Returns the whole pipeline with averaged weights.
    """
    torch.manual_seed(seed)
    machine = plan.machine
    unet = start or build_unet(widths)
    schedule = scheduler()
    scale = vae.config.scaling_factor
    text = text.to(machine.device)
    schedule.alphas_cumprod = schedule.alphas_cumprod.to(machine.device)

    def loss_of(model: Denoiser, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        with torch.no_grad():
            words = text(batch["ids"]).last_hidden_state.float()
        z = sample(batch, generator) * scale
        noise = torch.randn(z.shape, generator=generator, device=z.device)
        t = torch.randint(0, 1000, (len(z),), generator=generator, device=z.device)
        guess = model(schedule.add_noise(z, noise, t), t, words)
        return min_snr_loss(schedule, guess, noise, t)

    draw = partial(draw_batch, pool, latents, Shares(pool, latents), tokenizer, batch_size)
    inputs = partial(example, unet, batch_size, machine.device)
    with frozen(text):
        trained = train(name, Denoiser(unet), draw, loss_of, plan, seed=seed, lr=lr, example=inputs)
    return assembled(vae, text.cpu(), tokenizer, trained.unet.cpu())


def assembled(
    vae: AutoencoderKL, text: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """The trained parts as diffusers' pipeline."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
