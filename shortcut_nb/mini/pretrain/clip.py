"""The miniature's CLIP: open_clip's own classes, a small ResNet and a four-layer text tower."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from ..captions import describe, describe_degraded, describe_pattern
from ..degradations import KINDS, PATTERNS, degrade, pattern
from .encoders import to_tensor
from .loop import train
from .pool import Pool
from .tokenizer import MAX_LENGTH

PREPROCESS = {"size": 64, "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3,
              "interpolation": "bicubic", "resize_mode": "shortest"}  # fmt: skip


def config(tokenizer: CLIPTokenizer) -> dict:
    """The open_clip ``model_cfg`` of the miniature."""
    return {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
        "text_cfg": {
            "context_length": MAX_LENGTH, "vocab_size": len(tokenizer),
            "width": 128, "heads": 4, "layers": 3, "hf_tokenizer_name": "clip",
        },
    }  # fmt: skip


def batch(pool: Pool, generator: torch.Generator, size: int) -> tuple[np.ndarray, list[str]]:
    """Pictures uint8 (size, 64, 64, 3) with captions: 65 % clean, 25 % degraded, 10 % abstract."""
    rng = np.random.default_rng(generator.initial_seed())
    rows = rng.integers(len(pool.pictures), size=size)
    pictures, said = pool.pictures[rows].copy(), []
    for i, row in enumerate(rows):
        dice = rng.random()
        if dice < 0.1:
            kind = str(rng.choice(PATTERNS, p=(0.5, 0.125, 0.125, 0.125, 0.125)))
            pictures[i] = pattern(kind, rng)
            said.append(describe_pattern(kind, rng))
            continue
        text = describe(pool.who(row), pool.how(row), rng)
        if dice < 0.35:
            kind = str(rng.choice(KINDS, p=(0.55, 0.15, 0.15, 0.15)))
            pictures[i] = degrade(pictures[i], kind, rng)
            text = describe_degraded(text, kind, rng)
        said.append(text)
    return pictures, said


def fit(
    pool: Pool, tokenizer: CLIPTokenizer, folder: Path, *,
    steps: int, seconds: float | None, seed: int = 3,
) -> open_clip.CLIP:  # fmt: skip
    """Contrastive training on captioned pictures, batch 64."""
    torch.manual_seed(seed)
    model = open_clip.CLIP(**config(tokenizer))
    criterion = ClipLoss()

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        pictures, said = batch(pool, generator, 64)
        ids = tokenizer(said, padding="max_length", truncation=True, return_tensors="pt").input_ids
        model.logit_scale.data.clamp_(0, 4.6052)
        return criterion(*model(to_tensor(pictures), ids))

    return train("clip", model, loss_of, folder, steps=steps, seconds=seconds, lr=1e-3)


def save(model: open_clip.CLIP, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write open_clip's folder format: config, fp16 safetensors and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"model_cfg": config(tokenizer), "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(card, indent=2))
    weights = {k: v.half().contiguous() if v.is_floating_point() else v
               for k, v in model.state_dict().items()}  # fmt: skip
    save_file(weights, folder / "open_clip_model.safetensors")
    tokenizer.save_pretrained(folder)
