"""How far pictures have shifted, by every measure: no training takes part. Kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..analysis.concepts import CONCEPTS, concept_probabilities, prompts
from ..analysis.controls import KINDS, at_linf, at_psnr
from ..analysis.denoising_shift import TIMESTEPS, denoising_shift
from ..analysis.encoder_shift import encoder_shift, latent_shift, noise_pictures
from ..budget import Budget
from ..metrics import psnr
from ..store import Payload
from ..subjects import Subject
from .pool import in_processes, lab_of
from .stages import Cell, Stages

VERSION = "2"
PROBES = 16
DRAWS = 2
TOLERANCE = 0.25  # dB; JPEG moves in jumps
MATCHED = "aspl"  # the controls of equal PSNR, and of equal l∞, are matched to this attack
MEASURES = {
    "clip_shift": "CLIP: length of the shift",
    "clip_towards": "CLIP: shift from the class to “a noisy pattern”",
    "clip_across": "CLIP: shift across that axis",
    "class_lost": "CLIP: fall of P(shows the class), eight concepts",
    "identity_shift": "identity encoder: length of the shift",
    "identity_towards": "identity encoder: shift towards noise pictures",
    "identity_across": "identity encoder: shift across that axis",
    "latent": "autoencoder: shift of the posterior mean",
    "misled": "diffusion model: rise of conditional − unconditional loss",
    "loss": "diffusion model: rise of the conditional loss",
}
"""Every measure is larger for a larger mismatch, and 0 for clean pictures."""


def measures(stages: Stages, subject: Subject, images: Tensor) -> dict[str, float]:
    """Every measure of :data:`MEASURES`, and two more; means over pictures. Kept in the store.

    ``psnr`` in dB; ``pattern_margin``, P(shows a pattern) − P(shows the class) among the eight
    concepts, in [−1, 1]: above 0, CLIP calls the pictures a pattern.

    Args:
        images: set B as it is to be trained on, (n, 3, H, W) in [0, 1].
    """
    lab = stages.lab
    concept, noise = lab.profile.concepts[:2]

    def make(out: Payload) -> None:
        clean, rest = subject.b, torch.cat([subject.a, subject.c])
        words = clip_shift(lab.clip, images, concept, noise, reference=clean)
        probes = noise_pictures(PROBES, images.shape[-1])
        who = encoder_shift(lab.identity, images, clean, probes, anchor=rest)
        seen = denoising_shift(lab.diffusion, images, clean, subject.class_prompt, draws=DRAWS)
        named = _class(stages, images, subject)
        lost = _class(stages, clean, subject) - named
        means = {
            "clip_shift": words["shift"], "clip_towards": words["shift_projection"],
            "clip_across": words["shift_orthogonal"], "class_lost": lost,
            "identity_shift": who["shift"], "identity_towards": who["towards"],
            "identity_across": who["across"],
            "latent": latent_shift(lab.diffusion, images, clean)["latent"],
            "misled": seen["misled"], "loss": seen["loss"], "psnr": psnr(images, clean),
            "pattern_margin": 1 - 2 * named,
        }  # fmt: skip
        out.save_json("measures", {name: float(np.mean(each)) for name, each in means.items()})

    params = {
        "concepts": [concept, noise], "ensemble": prompts(subject.class_name),
        "shows": {name: kind for name, (kind, _) in CONCEPTS.items()},
        "prompt": subject.class_prompt, "timesteps": TIMESTEPS, "draws": DRAWS, "probes": PROBES,
    }  # fmt: skip
    inputs = stages.inputs(
        "diffusion", "clip", "identity", images=images, a=subject.a, b=subject.b, c=subject.c
    )
    return stages.cached("mismatch", params, inputs, make, VERSION).json("measures")


def controls(
    clean: Tensor, protected: Tensor, seed: int = 0, eps: str | None = None
) -> dict[str, Tensor]:
    """Pictures without any attack that have, one by one, the size of the protected ones.

    "= blur" has their PSNR, within :data:`TOLERANCE`; "≤ blur", where ``eps`` is given, has this
    budget's l∞.
    """
    goals = psnr(protected, clean)
    found = {f"= {kind}": at_psnr(kind, clean, goals, seed, TOLERANCE) for kind in KINDS}
    if eps is not None:
        most = Budget.parse(eps).pixels
        # Uniform noise of equal l∞ is an attack of the registry.
        found |= {f"≤ {kind}": at_linf(kind, clean, most, seed) for kind in KINDS[1:]}
    return found


def shifts(stages: Stages, subject: str, name: str, cell: Cell, seed: int) -> list[dict]:
    """The measures of one cell; for :data:`MATCHED` of its controls and purified too."""
    who = stages.lab.subject(subject)
    protected = stages.protect(who, cell, seed)
    sheets = {name: protected}
    if name == MATCHED:
        sheets |= controls(who.b, protected, seed, cell.eps)
        purified = replace(cell, purifier=stages.lab.profile.purifier)
        sheets[f"{name}, purified"] = stages.purify(protected, purified, who.class_name).images
    return [
        {"condition": condition, "eps": cell.eps, "subject": subject, "seed": seed}
        | measures(stages, who, images)
        for condition, images in sheets.items()
    ]


def all_shifts(
    cells: Mapping[str, Cell], subjects: Sequence[str], seeds: Sequence[int], *,
    profile: str = "mini", workers: int = 2,
) -> pd.DataFrame:  # fmt: skip
    """:func:`shifts` of every attack, subject and seed, in processes; ``workers`` 0 runs here."""
    tasks = [(profile, subject, name, cell, seed) for seed in seeds
             for name, cell in cells.items() if cell.attack for subject in subjects]  # fmt: skip
    found = in_processes(_one, tasks, workers=workers, label="shifts")
    return pd.DataFrame([row for rows in found for row in rows])


def _one(profile: str, subject: str, name: str, cell: Cell, seed: int) -> list[dict]:
    return shifts(Stages(lab_of(profile)), subject, name, cell, seed)


def _class(stages: Stages, images: Tensor, subject: Subject) -> np.ndarray:
    """P(shows the class, however spoilt) of each picture."""
    found = concept_probabilities(stages.lab.clip, images, subject.class_name)
    return found[found["shows"] == "class"].groupby("image")["probability"].sum().to_numpy()
