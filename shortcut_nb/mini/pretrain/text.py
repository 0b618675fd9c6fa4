"""The text encoder of the miniature's pipeline, trained first and by itself, as Stable Diffusion's.

Trained together with the UNet from nothing it collapsed: every prompt without "noisy" came out the
same, and no attribute was obeyed. Here it learns to match captions to latents (Radford et al.
2021), and the UNet then learns to read it while it stays as it is.
"""

from __future__ import annotations

import numpy as np
import torch
from open_clip.loss import ClipLoss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .latents import Latents, Shares, caption, sample
from .loop import Batch, TrainingPlan, train
from .pool import Pool
from .tokenizer import encode


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Four layers, 128 wide: 0.9 M parameters."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=512,
            projection_dim=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class Pair(torch.nn.Module):
    """A text encoder and the small latent tower that teaches it; only the former is kept."""

    def __init__(self, tokenizer: CLIPTokenizer, start: CLIPTextModel | None = None):
        super().__init__()
        self.text = start or build_text_encoder(tokenizer)
        self.project = torch.nn.Linear(128, 128, bias=False)
        layers: list[torch.nn.Module] = []
        for wide, out, stride in ((8, 64, 1), (64, 96, 2), (96, 128, 2), (128, 192, 2)):
            layers += [
                torch.nn.Conv2d(wide, out, 3, stride, 1),
                torch.nn.GroupNorm(8, out),
                torch.nn.SiLU(),
            ]
        # Hair, glasses and background sit at places of the picture: no pooling before the head.
        self.tower = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(768, 128))
        self.scale = torch.nn.Parameter(torch.tensor(2.66))

    def forward(
        self, z: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unit embeddings of latents (n, 8, 16, 16) and token ids (n, 40), and the logit scale."""
        texts = self.project(self.text(ids).pooler_output)
        pictures = self.tower(z)
        unit = torch.nn.functional.normalize
        return unit(pictures, dim=-1), unit(texts, dim=-1), self.scale.exp().clamp(max=100)


def fit(
    pool: Pool,
    latents: Latents,
    tokenizer: CLIPTokenizer,
    plan: TrainingPlan,
    *,
    batch_size: int = 192,
    seed: int = 4,
    lr: float = 5e-4,
    start: CLIPTextModel | None = None,
) -> CLIPTextModel:
    """Contrastive training of captions against latents; from ``start``, if given, or nothing."""
    torch.manual_seed(seed)
    criterion, shares = ClipLoss(), Shares(pool, latents)

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        rows = shares.draw(batch_size, rng)
        texts = [caption(pool, latents, i, rng) for i in rows]
        # Causal attention: padding behind the end token changes nothing, so as little as possible.
        return latents.arrays(rows) | {"ids": encode(tokenizer, texts, "longest")}

    def loss_of(model: Pair, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        pictures, texts, scale = model(sample(batch, generator), batch["ids"])
        return criterion(pictures.float(), texts.float(), scale)

    trained = train(
        "text",
        Pair(tokenizer, start),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=lr,
    )
    return trained.text.cpu()
