"""Many cells of an experiment: every condition × subject × seed, in processes, resumable.

Cells are independent and kept in the store, so a run that was killed goes on, and two experiments
that share a cell share its work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..metrics import psnr, ssim
from ..profile import Profile
from .pool import in_processes, lab_of
from .stages import Cell, Stages


def run(
    cells: Mapping[str, Cell], subjects: Sequence[str], seeds: Sequence[int], *,
    profile: str = "mini", n: int = 8, workers: int = 2,
) -> pd.DataFrame:  # fmt: skip
    """Run every cell for every subject and seed; score all samples.

    Args:
        cells: condition name to cell.
        n: samples for each prompt.
        workers: processes, one thread each; 0 runs here.

    Returns:
        A tidy frame, one row per sample: what :meth:`Stages.score` gives, with ``condition``,
        ``subject``, ``seed``, the cell's ``attack``, ``eps``, ``purifier``, ``prompts``, and how
        the pictures trained on had changed (see :func:`changes`).
    """
    # Neighbours in the queue are different subjects, so that no two wait for the same attack.
    tasks = [(profile, name, cell, subject, seed, n)
             for seed in seeds for name, cell in cells.items() for subject in subjects]  # fmt: skip
    frames = in_processes(_one, tasks, workers=workers, label="cells", named=_named)
    return pd.concat(frames, ignore_index=True)


def first_subjects(profile: Profile, count: int) -> list[str]:
    """The first subjects that a profile names.

    Raises:
        ValueError: when it names fewer.
    """
    if len(profile.subjects) < count:
        raise ValueError(
            f"profile {profile.name} names {len(profile.subjects)} subjects, {count} are wanted: "
            "list folders of photos under subjects: in the profile, or ask for fewer"
        )
    return profile.subjects[:count]


def changes(
    stages: Stages, subject: str, cell: Cell, seed: int, images: Tensor | None = None
) -> dict[str, float]:
    """How far the pictures trained on are from the clean ones, means over set B.

    Faithfulness is measured against the *clean* pictures: a purifier is to give those back.

    ``l2`` is the root mean square change in grey levels; ``psnr`` in dB; ``perceptual`` a distance
    of LPIPS's form on the lab's CLIP; ``likeness`` the cosine of the identity embedding to the
    clean pictures' mean; ``shift`` and ``shift_projection`` the move in CLIP space and its part
    towards noise; ``attack_seconds`` and ``purify_seconds`` (a picture) what it took when it was
    run. ``images`` are the pictures trained on, where the caller has them.
    """
    lab = stages.lab
    who = lab.subject(subject)
    images = stages.prepare(who, cell, seed) if images is None else images
    clean = who.images
    concept, noise = lab.profile.concepts[:2]
    moved = clip_shift(lab.clip, images, concept, noise, reference=clean)
    protected = stages.protected(who, cell, seed)
    purified = stages.purify(protected.images, cell, who.class_name)
    likeness = lab.identity(images) @ lab.identity.mean(clean)
    return {
        "linf": float((images - clean).abs().amax() * 255),
        "l2": float((images - clean).square().flatten(1).mean(1).sqrt().mean() * 255),
        "psnr": float(psnr(images, clean).mean()),
        "ssim": float(ssim(images, clean).mean()),
        "shift": float(moved["shift"].mean()),
        "shift_projection": float(moved["shift_projection"].mean()),
        "perceptual": float(lab.perceptual(images, clean).mean()),
        "likeness": float(likeness.mean()),
        "attack_seconds": protected.seconds,
        "purify_seconds": purified.seconds / len(images),
    }


def _named(profile: str, name: str, cell: Cell, subject: str, seed: int, n: int) -> str:
    return f"cell {name!r} of {subject}, seed {seed}"


def _one(profile: str, name: str, cell: Cell, subject: str, seed: int, n: int) -> pd.DataFrame:
    stages = Stages(lab_of(profile))
    who = stages.lab.subject(subject)
    samples = stages.personalise(who, cell, seed, n)
    about: dict[str, Any] = {
        "condition": name, "subject": subject, "seed": seed, "attack": cell.attack or "none",
        "eps": cell.eps, "purifier": cell.purifier or "none", "prompts": cell.prompts,
        "training_seconds": samples.seconds,
    }  # fmt: skip
    moved = changes(stages, subject, cell, seed, samples.trained_on)
    return stages.score(who, samples).assign(**about, **moved)
