"""The miniature's CLIPs: open_clip's own classes, a small ResNet and a three-layer text tower.

One has read captions that name noise, as the web's do. The other never heard the word, nor saw
what it means: what it says about perturbed pictures owes nothing to a noise detector.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from ..captions import describe, describe_degraded, describe_pattern
from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import Batch, TrainingPlan, train
from .pool import Pool
from .tokenizer import MAX_LENGTH, encode
from .vae import to_tensor

PREPROCESS = {
    "size": 64,
    "mode": "RGB",
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
PATTERN_SHARE = 0.1
DEGRADED_SHARE = 0.25


def config(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    """The open_clip ``model_cfg`` of the miniature."""
    return {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 12, "head_width": 16},
        "text_cfg": {
            "context_length": MAX_LENGTH,
            "vocab_size": len(tokenizer),
            "width": 128,
            "heads": 4,
            "layers": 3,
            "hf_tokenizer_name": "clip",
        },
    }


def pair(
    pool: Pool, row: int, rng: np.random.Generator, name_noise: bool
) -> tuple[np.ndarray, str]:
    """One picture with its caption: 65 % clean, 25 % degraded, 10 % abstract.

    ``name_noise`` False takes no noise pattern and degrades nothing.
    """
    dice = rng.random()
    if dice < PATTERN_SHARE:
        kinds = PATTERNS if name_noise else tuple(kind for kind in PATTERNS if kind != "noise")
        shares = np.array([4.0 if kind == "noise" else 1.0 for kind in kinds])
        kind = str(rng.choice(kinds, p=shares / shares.sum()))
        return pattern(kind, rng), describe_pattern(kind, rng)
    picture = pool.pictures[row]
    text = describe(pool.identity_of(row), pool.nuisance_of(row), rng, name_noise=name_noise)
    if name_noise and dice < PATTERN_SHARE + DEGRADED_SHARE:
        kind = str(rng.choice(KINDS, p=(0.55, 0.15, 0.15, 0.15)))
        return degrade(picture, kind, rng), describe_degraded(text, kind, rng)
    return picture, text


class Towers(torch.nn.Module):
    """Pictures and token ids to embeddings and the logit scale."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.model = open_clip.CLIP(**config(tokenizer))

    def forward(
        self, pictures: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.model(pictures, ids)


def fit(
    pool: Pool,
    tokenizer: CLIPTokenizer,
    plan: TrainingPlan,
    *,
    batch_size: int = 128,
    name_noise: bool = True,
    seed: int = 3,
) -> open_clip.CLIP:
    """Contrastive training on captioned pictures."""
    torch.manual_seed(seed)
    criterion = ClipLoss()

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        rows = rng.integers(len(pool.pictures), size=batch_size)
        pictures, texts = zip(*[pair(pool, int(row), rng, name_noise) for row in rows])
        return {"pictures": np.stack(pictures), "ids": encode(tokenizer, texts)}

    def loss_of(model: Towers, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        model.model.logit_scale.data.clamp_(0, 4.6052)
        images, texts, scale = model(to_tensor(batch["pictures"]), batch["ids"])
        return criterion(images.float(), texts.float(), scale)

    trained = train(
        "clip" if name_noise else "clip-plain",
        Towers(tokenizer),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=1e-3,
    )
    return trained.model.cpu()


def save(model: open_clip.CLIP, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write open_clip's folder format: config, fp16 safetensors and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"model_cfg": config(tokenizer), "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(card, indent=2))
    weights = {}
    for key, value in model.state_dict().items():
        weights[key] = value.half().contiguous() if value.is_floating_point() else value
    save_file(weights, folder / "open_clip_model.safetensors")
    tokenizer.save_pretrained(folder)
