"""The miniature's text encoder and UNet, trained together on latents that were computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..captions import describe, describe_degraded, describe_pattern
from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import train
from .pool import Pool

SHARES = {"named": 0.42, "unnamed": 0.36, "degraded": 0.16, "pattern": 0.06}


def scheduler() -> DDIMScheduler:
    """Stable Diffusion's betas; DDIM, since twenty deterministic steps are enough here."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
    )  # fmt: skip


def build_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(64, 128, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=128, intermediate_size=512, projection_dim=128,
            num_hidden_layers=4, num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


@dataclass(frozen=True)
class Latents:
    """Posterior means and stds, float16 (n, 8, 16, 16), with what each row shows.

    ``kind[i]`` is "" for a clean picture, a degradation, or "pattern:…"; ``row[i]`` is the
    picture's row in the pool (-1 for a pattern).
    """

    mean: np.ndarray
    std: np.ndarray
    row: np.ndarray
    kind: np.ndarray


def encode(
    pool: Pool, vae: AutoencoderKL, path: Path, degraded: int = 6000, abstract: int = 1500
) -> Latents:
    """Encode the pool, degraded copies and abstract patterns once; kept at ``path``."""
    if not path.exists():
        rng = np.random.default_rng(5)
        rows, kinds = list(range(len(pool.pictures))), [""] * len(pool.pictures)
        rows += rng.integers(len(pool.pictures), size=degraded).tolist()
        kinds += [str(rng.choice(KINDS, p=(0.55, 0.15, 0.15, 0.15))) for _ in range(degraded)]
        rows += [-1] * abstract
        kinds += [f"pattern:{rng.choice(PATTERNS, p=(0.4, 0.15, 0.15, 0.2, 0.1))}"
                  for _ in range(abstract)]  # fmt: skip
        means, stds = [], []
        for start in range(0, len(rows), 64):
            part = [
                _picture(pool, row, kind, rng)
                for row, kind in zip(rows[start : start + 64], kinds[start : start + 64])
            ]
            pixels = torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.inference_mode():
                posterior = vae.encode(pixels).latent_dist
            means.append(posterior.mean.half().numpy())
            stds.append(posterior.std.half().numpy())
        fresh = path.with_suffix(".tmp.npz")
        np.savez(fresh, mean=np.concatenate(means), std=np.concatenate(stds),
                 row=np.array(rows), kind=np.array(kinds))  # fmt: skip
        fresh.replace(path)
    with np.load(path) as held:
        return Latents(**{key: held[key] for key in ("mean", "std", "row", "kind")})


def _picture(pool: Pool, row: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind.startswith("pattern:"):
        return pattern(kind.removeprefix("pattern:"), rng)
    return degrade(pool.pictures[row], kind, rng) if kind else pool.pictures[row]


def caption(pool: Pool, latents: Latents, i: int, rng: np.random.Generator) -> str:
    """A fresh caption for one row of latents; named people are called by name 85 % of the time."""
    kind, row = str(latents.kind[i]), int(latents.row[i])
    if kind.startswith("pattern:"):
        return describe_pattern(kind.removeprefix("pattern:"), rng)
    name = pool.name(row) if rng.random() < 0.85 else None
    clean = describe(pool.who(row), pool.how(row), rng, name)
    return describe_degraded(clean, kind, rng) if kind else clean


class Denoiser(torch.nn.Module):
    """UNet and text encoder as one module, so that they share optimiser and moving average."""

    def __init__(self, tokenizer: CLIPTokenizer):
        super().__init__()
        self.unet, self.text = build_unet(), build_text_encoder(tokenizer)


def fit(
    pool: Pool, vae: AutoencoderKL, tokenizer: CLIPTokenizer, folder: Path, *,
    steps: int, seconds: float | None, batch_size: int = 32, seed: int = 0, lr: float = 1e-3,
) -> StableDiffusionPipeline:  # fmt: skip
    """Train on cached latents with min-SNR weighting (Hang et al. 2023, γ = 5), 10 % empty prompts.

    Returns the whole pipeline with averaged weights.
    """
    latents = encode(pool, vae, folder / "latents.npz")
    torch.manual_seed(seed)
    model, noise_schedule = Denoiser(tokenizer), scheduler()
    scale = vae.config.scaling_factor
    clean = np.flatnonzero(latents.kind == "")
    named = pool.index[latents.row[clean]] < pool.named
    is_pattern = np.char.startswith(latents.kind, "pattern:")
    groups = {
        "named": clean[named], "unnamed": clean[~named],
        "degraded": np.flatnonzero((latents.kind != "") & ~is_pattern),
        "pattern": np.flatnonzero(is_pattern),
    }  # fmt: skip

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rng = np.random.default_rng(generator.initial_seed())
        which = rng.choice(list(SHARES), size=batch_size, p=list(SHARES.values()))
        rows = [int(rng.choice(groups[str(g)])) for g in which]
        said = ["" if rng.random() < 0.1 else caption(pool, latents, i, rng) for i in rows]
        ids = tokenizer(said, padding="max_length", truncation=True, return_tensors="pt").input_ids
        mean = torch.from_numpy(latents.mean[rows]).float()
        std = torch.from_numpy(latents.std[rows]).float()
        z = (mean + std * torch.randn(mean.shape, generator=generator)) * scale
        noise = torch.randn(z.shape, generator=generator)
        t = torch.randint(0, 1000, (batch_size,), generator=generator)
        guess = model.unet(
            noise_schedule.add_noise(z, noise, t), t, model.text(ids).last_hidden_state
        ).sample
        snr = compute_snr(noise_schedule, t)
        weight = snr.clamp(max=5.0) / snr
        return (weight * (guess - noise).square().flatten(1).mean(1)).mean()

    trained = train("unet", model, loss_of, folder, steps=steps, seconds=seconds, lr=lr)
    return StableDiffusionPipeline(
        vae=vae, text_encoder=trained.text, tokenizer=tokenizer, unet=trained.unet,
        scheduler=scheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
