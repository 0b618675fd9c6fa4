"""How far pictures have shifted, as every model that the profile names sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..analysis.concepts import CONCEPTS, concept_probabilities, prompts
from ..analysis.denoising_shift import TIMESTEPS, denoising_shift
from ..analysis.encoder_shift import encoder_shift, latent_shift, noise_pictures
from ..cells import Cell
from ..metrics import Column
from ..models import Models
from ..subjects import Subject
from .base import IMAGE_PROBES, ImageProbe

NOISE_PICTURES = 16
DRAWS = 2
PLAIN = "measure:clip-plain"
SHIFT_COLUMNS = {
    "clip_shift": Column("CLIP: length of the shift"),
    "clip_towards": Column("CLIP: shift towards “a noisy pattern”"),
    "clip_across": Column("CLIP: shift across that axis"),
    "class_lost": Column("CLIP: fall of P(shows the class)"),
    "identity_shift": Column("identity encoder: length of the shift"),
    "identity_towards": Column("identity encoder: shift towards noise pictures"),
    "identity_across": Column("identity encoder: shift across that axis"),
    "latent": Column("autoencoder: shift of the latents"),
    "misled": Column("diffusion model: what the prompt no longer explains"),
    "loss": Column("diffusion model: rise of the loss"),
}
FURTHER_SHIFTS = {
    "pattern_margin": Column("CLIP: P(a pattern) − P(the class)"),
    "decoded_towards": Column("CLIP: shift towards noise after the autoencoder"),
    "plain_shift": Column("CLIP without noise: length of the shift"),
    "plain_towards": Column("CLIP without noise: shift towards noise pictures"),
    "plain_across": Column("CLIP without noise: shift across that axis"),
}
SHIFTS = tuple(SHIFT_COLUMNS)
"""Every one is larger for a larger mismatch, and 0 for clean pictures."""


def shifts(models: Models, subject: Subject, cell: Cell, images: Tensor) -> dict[str, float]:
    """Every measure of :data:`SHIFTS` whose model the profile names; means over pictures.

    Beside them ``pattern_margin``, P(shows a pattern) − P(shows the class) among eight concepts
    (above 0, CLIP calls the pictures a pattern); ``decoded_towards``, the shift towards noise of
    decode(encode(x)), which is all of it that training sees; and, of the CLIP that never heard of
    noise, ``plain_shift``, ``plain_towards`` and ``plain_across``, along its axis from clean
    pictures to pictures of noise (it has no word for them).
    """
    measured = diffusion_shifts(models, subject, images)
    if models.has("clip"):
        measured |= clip_shifts(models, subject, images)
    if models.has("identity"):
        measured |= encoder_shifts("identity", models.identity, subject, images)
    if models.has(PLAIN):
        measured |= encoder_shifts("plain", models.measure("clip-plain").image, subject, images)
    return {name: float(np.mean(each)) for name, each in measured.items()}


def clip_shifts(models: Models, subject: Subject, images: Tensor) -> dict[str, Any]:
    """The shift along the axis of words, of pictures and of decoded pictures."""
    clip, clean = models.clip, subject.b
    concept, noise = models.profile.concepts[:2]
    words = clip_shift(clip, images, concept, noise, reference=clean)
    decoded = clip_shift(
        clip, through(models, images), concept, noise, reference=through(models, clean)
    )
    probability = class_probability(models, images, subject)
    return {
        "clip_shift": words["shift"],
        "clip_towards": words["shift_projection"],
        "clip_across": words["shift_orthogonal"],
        "class_lost": class_probability(models, clean, subject) - probability,
        "pattern_margin": 1 - 2 * probability,
        "decoded_towards": decoded["shift_projection"],
    }


def encoder_shifts(name: str, encode: Any, subject: Subject, images: Tensor) -> dict[str, Any]:
    """The shift along an encoder's own axis, from clean pictures to pictures of noise."""
    noise = noise_pictures(NOISE_PICTURES, images.shape[-1])
    anchor = torch.cat([subject.a, subject.c])
    moved = encoder_shift(encode, images, subject.b, noise, anchor=anchor)
    return {f"{name}_{column}": moved[column] for column in ("shift", "towards", "across")}


def diffusion_shifts(models: Models, subject: Subject, images: Tensor) -> dict[str, Any]:
    """The shift of latents, and what the change does to the denoising loss."""
    model, clean = models.diffusion, subject.b
    seen = denoising_shift(model, images, clean, subject.class_prompt, draws=DRAWS)
    return {
        "latent": latent_shift(model, images, clean)["latent"],
        "misled": seen["misled"],
        "loss": seen["loss"],
    }


@torch.no_grad()
def through(models: Models, images: Tensor) -> Tensor:
    """Pictures after the autoencoder, by the posterior's mean: (n, 3, H, W) in [0, 1]."""
    model = models.diffusion
    return model.decode(model.posterior(images)[0]).to(images.device)


def class_probability(models: Models, images: Tensor, subject: Subject) -> np.ndarray:
    """P(shows the class, however spoilt) of each picture, (n,)."""
    concepts = concept_probabilities(models.clip, images, subject.class_name)
    return concepts[concepts["shows"] == "class"].groupby("image")["probability"].sum().to_numpy()


def settings(models: Models, subject: Subject, cell: Cell) -> dict[str, Any]:
    """What the numbers depend on beside pictures and weights."""
    return {
        "concepts": models.profile.concepts[:2],
        "ensemble": prompts(subject.class_name),
        "shows": {name: kind for name, (kind, _) in CONCEPTS.items()},
        "prompt": subject.class_prompt,
        "timesteps": TIMESTEPS,
        "draws": DRAWS,
        "noise_pictures": NOISE_PICTURES,
    }


ROLES = ("diffusion", "clip", "identity", PLAIN)
IMAGE_PROBES.add("shifts", ImageProbe(shifts, ROLES, settings, SHIFT_COLUMNS | FURTHER_SHIFTS))
