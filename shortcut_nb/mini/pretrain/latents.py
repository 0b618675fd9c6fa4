"""Latents of the whole pool, of degraded copies and of patterns: encoded once, captioned anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from ...files import writing
from ..captions import describe, describe_degraded, describe_pattern
from ..degradations import KINDS, PATTERNS, degrade, pattern
from .loop import Batch
from .pool import Pool
from .vae import to_tensor

SHARES = {"named": 0.36, "unnamed": 0.43, "degraded": 0.15, "pattern": 0.06}


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

    def arrays(self, rows: list[int]) -> dict[str, np.ndarray]:
        """The posteriors of some rows, as part of a batch; see :func:`sample`."""
        return {"mean": self.mean[rows], "std": self.std[rows]}


def sample(batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """Draw from a batch's posteriors: float32 (n, c, h, w), not yet scaled."""
    mean, std = batch["mean"].float(), batch["std"].float()
    return mean + std * torch.randn(mean.shape, generator=generator, device=mean.device)


class Shares:
    """Draws rows so that each kind of picture has its share of every batch (``SHARES``)."""

    def __init__(self, pool: Pool, latents: Latents) -> None:
        clean = np.flatnonzero(latents.kind == "")
        named = pool.index[latents.row[clean]] < pool.named
        is_pattern = np.char.startswith(latents.kind, "pattern:")
        self.groups = {
            "named": clean[named],
            "unnamed": clean[~named],
            "degraded": np.flatnonzero((latents.kind != "") & ~is_pattern),
            "pattern": np.flatnonzero(is_pattern),
        }

    def draw(self, size: int, rng: np.random.Generator) -> list[int]:
        which = rng.choice(list(SHARES), size=size, p=list(SHARES.values()))
        return [int(rng.choice(self.groups[str(group)])) for group in which]


def encode(
    pool: Pool,
    vae: AutoencoderKL,
    path: Path,
    degraded: int | None = None,
    abstract: int | None = None,
    device: str = "cpu",
) -> Latents:
    """Encode the pool, degraded copies and abstract patterns once; kept at ``path``.

    None takes a fifth of the pool's size degraded, and a twentieth abstract.
    """
    degraded = len(pool.pictures) // 5 if degraded is None else degraded
    abstract = len(pool.pictures) // 20 if abstract is None else abstract
    if not path.exists():
        rng = np.random.default_rng(5)
        rows, kinds = _listed(len(pool.pictures), degraded, abstract, rng)
        mean, std = _posteriors(pool, vae, rows, kinds, rng, device)
        with writing(path) as fresh, fresh.open("wb") as stream:
            np.savez(stream, mean=mean, std=std, row=np.array(rows), kind=np.array(kinds))
    with np.load(path) as arrays:
        return Latents(**{key: arrays[key] for key in ("mean", "std", "row", "kind")})


def _listed(
    clean: int, degraded: int, abstract: int, rng: np.random.Generator
) -> tuple[list[int], list[str]]:
    """What is encoded: the whole pool, degraded copies, patterns; see :class:`Latents`."""
    rows, kinds = list(range(clean)), [""] * clean
    rows += rng.integers(clean, size=degraded).tolist()
    kinds += [str(rng.choice(KINDS, p=(0.55, 0.15, 0.15, 0.15))) for _ in range(degraded)]
    rows += [-1] * abstract
    kinds += [
        f"pattern:{rng.choice(PATTERNS, p=(0.4, 0.15, 0.15, 0.2, 0.1))}" for _ in range(abstract)
    ]
    return rows, kinds


def _posteriors(
    pool: Pool,
    vae: AutoencoderKL,
    rows: list[int],
    kinds: list[str],
    rng: np.random.Generator,
    device: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Means and stds of the listed pictures, float16 (n, 8, 16, 16)."""
    vae = vae.to(device)
    means, stds = [], []
    for start in range(0, len(rows), 64):
        part = [
            _picture(pool, row, kind, rng)
            for row, kind in zip(rows[start : start + 64], kinds[start : start + 64])
        ]
        pixels = to_tensor(torch.from_numpy(np.stack(part)))
        with torch.inference_mode():
            posterior = vae.encode(pixels.to(device)).latent_dist
        means.append(posterior.mean.half().cpu().numpy())
        stds.append(posterior.std.half().cpu().numpy())
    vae.cpu()
    return np.concatenate(means), np.concatenate(stds)


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
    clean = describe(pool.identity_of(row), pool.nuisance_of(row), rng, name)
    return describe_degraded(clean, kind, rng) if kind else clean
