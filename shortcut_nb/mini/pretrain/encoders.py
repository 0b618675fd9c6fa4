"""The measures' own networks: identity, attributes, a person detector (transformers' ResNet)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy, interpolate, normalize
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from ..attributes import GROUPS, labels_of
from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import Batch, TrainingPlan, train
from .pool import Pool
from .vae import to_tensor

PEOPLE = 32
PICTURES = 4
TEMPERATURE = 0.1
NOISY_SHARE = 0.35
ATTRIBUTE_SIZE = 128
SHIFT = 4
IDENTITY_WIDTHS = (32, 64, 96, 128)
HARDENED_WIDTHS = (16, 32, 48, 64)  # a small one: it is there to compare with


def config(widths: tuple[int, ...], labels: Sequence[str] = ()) -> ResNetConfig:
    """A ResNet of one basic block a width; with a class for each label."""
    named = dict(enumerate(labels))
    classes = {"id2label": named, "label2id": {name: i for i, name in named.items()}}
    return ResNetConfig(
        embedding_size=widths[0],
        hidden_sizes=list(widths),
        depths=[1] * len(widths),
        layer_type="basic",
        **(classes if labels else {}),
    )


class Embedding(torch.nn.Module):
    """Pictures to unit vectors."""

    def __init__(self, widths: tuple[int, ...] = IDENTITY_WIDTHS) -> None:
        super().__init__()
        self.model = ResNetModel(config(widths))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return normalize(self.model(pictures).pooler_output.flatten(1), dim=1)


class Classifier(torch.nn.Module):
    """Pictures to logits."""

    def __init__(self, model: ResNetForImageClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.model(pictures).logits


def contrastive_loss(z: torch.Tensor) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) of groups of ``PICTURES`` neighbours."""
    logits = (z @ z.T / TEMPERATURE).fill_diagonal_(-1e4)
    block = torch.ones(PICTURES, PICTURES, device=z.device)
    same = torch.block_diag(*[block] * (len(z) // PICTURES)).fill_diagonal_(0)
    return -(logits.log_softmax(1) * same).sum(1).div(PICTURES - 1).mean()


def fit_identity(
    pool: Pool,
    plan: TrainingPlan,
    *,
    hardened: bool = False,
    seed: int = 1,
) -> ResNetModel:
    """Who a picture shows. Trained on clean pictures only, so that whatever hides a person counts.

    ``hardened`` degrades a third of the pictures: an encoder that looks through noise, kept for
    comparison.
    """
    torch.manual_seed(seed)
    order = np.argsort(pool.index, kind="stable")
    ends = np.searchsorted(pool.index[order], pool.numbers, side="right")
    starts = np.searchsorted(pool.index[order], pool.numbers, side="left")

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        people = rng.choice(len(starts), size=min(PEOPLE, len(starts)), replace=False)
        rows = [order[rng.choice(np.arange(starts[p], ends[p]), PICTURES, False)] for p in people]
        pictures = pool.pictures[np.concatenate(rows)].copy()
        if hardened:
            for i in np.flatnonzero(rng.random(len(pictures)) < NOISY_SHARE):
                kind = str(rng.choice(KINDS, p=(0.7, 0.1, 0.1, 0.1)))
                pictures[i] = degrade(pictures[i], kind, rng)
        return {"pictures": pictures}

    def loss_of(model: Embedding, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        return contrastive_loss(model(to_tensor(batch["pictures"])).float())

    trained = train(
        "identity-hardened" if hardened else "identity",
        Embedding(HARDENED_WIDTHS if hardened else IDENTITY_WIDTHS),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=2e-3,
    )
    return trained.model.cpu()


def augmented(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures mirrored or not, moved by up to four pixels, a little darker or brighter."""
    out = np.empty_like(pictures)
    for i, picture in enumerate(pictures):
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        down, right = rng.integers(0, 2 * SHIFT + 1, 2)
        padded = np.pad(picture, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
        high, wide = picture.shape[:2]
        moved = padded[down : down + high, right : right + wide]
        out[i] = np.clip(moved * rng.uniform(0.9, 1.1), 0, 255)
    return out


def attribute_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum over attributes of each one's cross entropy; labels (n, attributes), -1 unknown."""
    parts = logits.split([len(values) for values in GROUPS.values()], dim=1)
    columns = zip(parts, labels.T, strict=True)
    losses = [cross_entropy(part, label, ignore_index=-1) for part, label in columns]
    return sum(losses[1:], losses[0])


def fit_attributes(
    pools: tuple[Pool, ...],
    plan: TrainingPlan,
    *,
    seed: int = 9,
) -> ResNetForImageClassification:
    """Hair, hair colour, skin, facial hair, glasses and nose, read off clean pictures.

    One network, one softmax for each attribute; its labels are "attribute:VALUE". It wants
    pictures of ``ATTRIBUTE_SIZE`` pixels: a nose is six pixels of 64 × 64.
    """
    torch.manual_seed(seed)
    names = [f"{attribute}:{value}" for attribute, values in GROUPS.items() for value in values]
    model = ResNetForImageClassification(config((32, 48, 96, 128), names))
    people = [{number: labels_of(who) for number, who in pool.people.items()} for pool in pools]

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        pictures, labels = [], []
        for pool, labels_by_number in zip(pools, people, strict=True):
            rows = rng.integers(len(pool.pictures), size=96 // len(pools))
            pictures.append(augmented(pool.pictures[rows], rng))
            labels += [labels_by_number[int(pool.index[row])] for row in rows]
        return {"pictures": np.concatenate(pictures), "labels": np.array(labels)}

    def loss_of(model: Classifier, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        side = (ATTRIBUTE_SIZE, ATTRIBUTE_SIZE)
        x = interpolate(to_tensor(batch["pictures"]), side, mode="bilinear", antialias=True)
        return attribute_loss(model(x).float(), batch["labels"])

    trained = train(
        "attributes",
        Classifier(model),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=2e-3,
        weight_decay=1e-2,
    )
    return trained.model.cpu()


def fit_detector(
    pool: Pool,
    plan: TrainingPlan,
    *,
    seed: int = 2,
) -> ResNetForImageClassification:
    """Person or none: avatars, a third of them degraded, against patterns, crops and shuffles."""
    torch.manual_seed(seed)
    model = ResNetForImageClassification(config((16, 32, 64, 96), ["none", "person"]))

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        pictures = pool.pictures[rng.integers(len(pool.pictures), size=64)].copy()
        for i in range(64):
            if i >= 32:
                pictures[i] = _faceless(pictures[i], rng)
            if rng.random() < NOISY_SHARE:
                pictures[i] = degrade(pictures[i], str(rng.choice(KINDS)), rng)
        return {"pictures": pictures, "label": np.repeat([1, 0], 32)}

    def loss_of(model: Classifier, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        return cross_entropy(model(to_tensor(batch["pictures"])).float(), batch["label"])

    trained = train(
        "detector",
        Classifier(model),
        draw,
        loss_of,
        plan,
        seed=seed,
        lr=2e-3,
    )
    return trained.model.cpu()


def _pattern(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return pattern(str(rng.choice(PATTERNS)), rng)


def _empty(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.broadcast_to(picture[:2].mean((0, 1)), picture.shape).astype(np.uint8)


def _shuffled(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    high, wide = picture.shape[:2]
    return picture.reshape(-1, 3)[rng.permutation(high * wide)].reshape(picture.shape)


def _torn(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    blocks = picture.reshape(4, 16, 4, 16, 3).transpose(0, 2, 1, 3, 4).reshape(16, 16, 16, 3)
    blocks = blocks[rng.permutation(16)].reshape(4, 4, 16, 16, 3)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3, 4).reshape(picture.shape))


FACELESS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    _pattern,
    _empty,
    _shuffled,
    _torn,
)


def _faceless(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture without a face: a pattern, an empty background, a shuffle or a torn-up avatar."""
    make = FACELESS[int(rng.choice(len(FACELESS), p=(0.5, 0.15, 0.15, 0.2)))]
    return make(picture, rng)
