"""Does an attacker who knows the purifier climb what is left behind it?

An adaptive attack that harms no more than a blind one may be a weak optimiser, or what it climbs
may not be the harm (Tramèr et al. 2020, "On adaptive attacks to adversarial example defenses").
A stand-in for what it climbs: the pretrained model's denoising loss, under the class prompt, of
what the defender trains on. (The attack climbs it on fine-tuned surrogates, under their prompt.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from .pool import in_processes, lab_of
from .report import between, means, paired
from .shipped import gap, with_gaps
from .stages import Cell, Stages

SCORES = ("loss", "psnr")


def climbs(
    cells: Mapping[tuple[str, str], Cell], subjects: Sequence[str], seeds: Sequence[int], *,
    profile: str = "mini", workers: int = 2,
) -> pd.DataFrame:  # fmt: skip
    """What a defender trains on: one row per attacker, pictures, subject and seed.

    Args:
        cells: (knowledge, pictures) to cell; clean pictures have the knowledge "clean".

    Returns:
        ``loss``, the rise of the pretrained model's denoising loss under the class prompt over the
        clean pictures'; ``psnr`` against these, in dB.
    """
    tasks = [(profile, subject, seed, *key, cell)
             for seed in seeds for key, cell in cells.items() for subject in subjects]  # fmt: skip
    return pd.DataFrame(in_processes(_one, tasks, workers=workers, label="what is climbed"))


def _one(profile: str, subject: str, seed: int, who: str, pictures: str, cell: Cell) -> dict:
    stages = Stages(lab_of(profile))
    person = stages.lab.subject(subject)
    pipeline = stages.pipeline
    found = pipeline.changes(person, cell.full, seed)
    found |= pipeline.looks(person, cell.full, seed, "shifts")
    about = {"knowledge": who, "pictures": pictures, "subject": subject, "seed": seed}
    return about | {score: found[score] for score in SCORES}


def climb_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per attacker, pictures and score: its mean, and two differences over subjects.

    ``rise`` is the difference to clean pictures treated the same way, ``gain`` to the attacker who
    knows nothing; each with its interval, and whether it is shown to be above zero (``loss``).
    """
    named = rows.assign(condition=rows["knowledge"] + " | " + rows["pictures"])
    found = means(named, ["knowledge", "pictures"], SCORES).to_dict("records")
    for row in found:
        name = f"{row['knowledge']} | {row['pictures']}"
        for label, who in {"rise": "clean", "gain": "nothing"}.items():
            if row["knowledge"] not in ("clean", who):
                other = f"{who} | {row['pictures']}"
                row |= gap(label, paired(named, row["score"], name, other), 1)
    return with_gaps(pd.DataFrame(found), "rise", "gain")


def read(rows: pd.DataFrame) -> pd.DataFrame:
    """The rise of the loss and what knowledge adds to it, for reading; PSNR in dB.

    Args:
        rows: what :func:`climb_table` gives.
    """
    wide = rows.pivot(index=["pictures", "knowledge"], columns="score")
    found = {}
    for name in ("rise", "gain"):
        ends = wide[[(name, "loss"), (f"{name}_low", "loss"), (f"{name}_high", "loss")]]
        found[name] = [between(value, low, high, ".3f") for value, low, high in ends.to_numpy()]
    return pd.DataFrame(
        {"rise of the loss": found["rise"], "gain": found["gain"], "psnr": wide["mean", "psnr"]},
        index=wide.index,
    ).round(1)
