"""Pictures encoded once, for many training steps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from .diffusion import Diffusion
from .files.pictures import list_folder


@dataclass(frozen=True, eq=False)
class Latents:
    """Scaled posterior mean and std of encoded pictures, each (n, c, h, w)."""

    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.mean)

    def draw(self, rows: Tensor, generator: Generator) -> Tensor:
        """A fresh posterior sample of some rows."""
        mean, std = self.mean[rows], self.std[rows]
        return mean + std * torch.randn(mean.shape, generator=generator).to(mean.device)


@torch.no_grad()
def latents_of(model: Diffusion, images: Tensor, batch: int | None = None) -> Latents:
    """Encode pictures (n, 3, H, W) in [0, 1] once, for many training steps.

    Args:
        batch: pictures encoded at once; None is the model's own choice.
    """
    parts = [model.posterior(part) for part in images.split(batch or model.pictures_at_once)]
    return Latents(torch.cat([m for m, _ in parts]), torch.cat([s for _, s in parts]))


def class_digest(class_images: int | str) -> str:
    """What stands for class pictures in a name: the content of one's own; "" for sampled ones."""
    if isinstance(class_images, int):
        return ""
    listing = list_folder(class_images)
    digest = hashlib.sha256()
    for name in listing.names:
        digest.update(name.encode() + (listing.folder / name).read_bytes())
    return digest.hexdigest()


def count_of(class_images: int | str) -> int:
    """How many class pictures there are: a number, or those of a folder."""
    return class_images if isinstance(class_images, int) else len(list_folder(class_images).names)
