"""The metrics' own networks: an identity encoder and a face detector (transformers' ResNet)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import train
from .pool import Pool


def config(widths: tuple[int, ...], **more) -> ResNetConfig:
    return ResNetConfig(
        embedding_size=widths[0], hidden_sizes=list(widths), depths=[1] * len(widths),
        layer_type="basic", **more,
    )  # fmt: skip


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 NHWC to float32 NCHW in [-1, 1], the encoders' own range."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def fit_identity(pool: Pool, folder: Path, *, steps: int, seconds: float | None, seed: int = 1):
    """Supervised contrastive training (Khosla et al. 2020): 24 identities × 4 pictures a batch.

    A third of the pictures are degraded, so that the encoder looks at the person and not at noise.
    """
    torch.manual_seed(seed)
    model = ResNetModel(config((32, 64, 128, 192)))
    order = np.argsort(pool.index, kind="stable")
    starts = np.searchsorted(pool.index[order], np.arange(pool.index.max() + 2))

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rng = np.random.default_rng(generator.initial_seed())
        people = rng.choice(len(starts) - 1, size=24, replace=False)
        rows = [order[rng.choice(np.arange(starts[p], starts[p + 1]), 4, False)] for p in people]
        pictures = pool.pictures[np.concatenate(rows)].copy()
        for i in np.flatnonzero(rng.random(len(pictures)) < 0.35):
            pictures[i] = degrade(pictures[i], str(rng.choice(KINDS, p=(0.7, 0.1, 0.1, 0.1))), rng)
        z = normalize(model(to_tensor(pictures)).pooler_output.flatten(1), dim=1)
        logits = (z @ z.T / 0.1).fill_diagonal_(-1e4)
        same = torch.block_diag(*[torch.ones(4, 4)] * 24).fill_diagonal_(0)
        return -(logits.log_softmax(1) * same).sum(1).div(3).mean()

    return train("identity", model, loss_of, folder, steps=steps, seconds=seconds, lr=2e-3)


def fit_detector(pool: Pool, folder: Path, *, steps: int, seconds: float | None, seed: int = 2):
    """Person or none: avatars, a third of them degraded, against patterns, crops and shuffles."""
    torch.manual_seed(seed)
    labels = {0: "none", 1: "person"}
    back = {name: i for i, name in labels.items()}
    model = ResNetForImageClassification(
        config((16, 32, 64, 96), id2label=labels, label2id=back, num_labels=2)
    )

    def loss_of(generator: torch.Generator, step: int) -> torch.Tensor:
        rng = np.random.default_rng(generator.initial_seed())
        pictures = pool.pictures[rng.integers(len(pool.pictures), size=64)].copy()
        label = torch.zeros(64, dtype=torch.long)
        label[:32] = 1
        for i in range(64):
            if i >= 32:
                pictures[i] = _faceless(pictures[i], rng)
            if rng.random() < 0.35:
                pictures[i] = degrade(pictures[i], str(rng.choice(KINDS)), rng)
        return cross_entropy(model(to_tensor(pictures)).logits, label)

    return train("detector", model, loss_of, folder, steps=steps, seconds=seconds, lr=2e-3)


def _faceless(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture without a face: a pattern, an empty background, a shuffle or a torn-up avatar."""
    dice = rng.random()
    if dice < 0.5:
        return pattern(str(rng.choice(PATTERNS)), rng)
    if dice < 0.65:
        return np.broadcast_to(picture[:2].mean((0, 1)), picture.shape).astype(np.uint8)
    if dice < 0.8:
        high, wide = picture.shape[:2]
        return picture.reshape(-1, 3)[rng.permutation(high * wide)].reshape(picture.shape)
    blocks = picture.reshape(4, 16, 4, 16, 3).transpose(0, 2, 1, 3, 4).reshape(16, 16, 16, 3)
    blocks = blocks[rng.permutation(16)].reshape(4, 4, 16, 16, 3)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3, 4).reshape(picture.shape))
