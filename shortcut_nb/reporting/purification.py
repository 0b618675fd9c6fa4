"""What a purifier keeps, gives back and costs: plain functions on what was measured.

The question itself is :mod:`shortcut_nb.experiments.questions.purification`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..cells import Cell
from ..experiments.experiment import JOIN
from ..experiments.questions.purification import PROTECTIONS, SCORES, left, restored
from ..pipeline import Pipeline
from ..purify import build
from ..subjects import Subject
from .summary import Summary, summary

FILTER, LATENT = "jpeg", "ldiffpure"
KEPT = ("perceptual", "psnr", "ssim", "likeness", "shift", "purify_seconds", "memory_mib")


def table(kept: Summary) -> pd.DataFrame:
    """One row per attack and purifier: faithfulness, realignment, and what came back.

    ``realigned`` is the share of the attack's mean shift in CLIP space that is gone (1: back at the
    clean picture, below 0: further away). ``…_restored`` is a score's rise over no purifier,
    ``…_left`` what is still missing to training on clean pictures (negative: worse), each with its
    interval.
    """
    wide = kept.wide([*KEPT, *SCORES], "instance")
    wide[["attack", "purifier"]] = wide["condition"].str.split(JOIN, expand=True, regex=False)
    wide = wide[wide["attack"] != "none"].reset_index(drop=True)
    bare = wide[wide["purifier"] == "none"].set_index("attack")["shift"]
    wide["realigned"] = 1 - wide["shift"] / wide["attack"].map(bare)
    pairs = wide[["purifier", "attack"]].to_numpy()
    for score, (word, *_) in SCORES.items():
        for label, named in (("restored", restored), ("left", left)):
            names = [named(purifier, word, attack) for purifier, attack in pairs]
            wide = kept.beside(wide, f"{score}_{label}", names)
    return wide


def values_of_others() -> dict[str, Any]:
    """Values for the finding: how purifiers other than the restorer and CodeSR did.

    Returns:
        ``few``: people; ``filter`` and ``latent``: the quality that JPEG and diffusion of the
        latents give back; ``stranger``: what the latter takes of the identity match;
        ``draws_another``: whether that is beyond chance.
    """
    kept, attack = summary("purification"), PROTECTIONS[0]
    taken = kept.verdict(left(LATENT, "identity", attack))
    return {
        "few": len(kept.subjects),
        "filter": max(0.0, kept.verdict(restored(FILTER, "quality", attack))["mean"]),
        "latent": max(0.0, kept.verdict(restored(LATENT, "quality", attack))["mean"]),
        "stranger": -taken["mean"],
        "draws_another": taken["high"] < 0,
    }


def family(purifier: str) -> str:
    """What a purifier is made of: "filter", "latent model", "pixel model" or "restoration"; "none"
    for none."""
    if purifier == "none":
        return "none"
    needs = build(purifier).roles
    if "purifier:pixel" in needs:
        return "pixel model"
    if any(role.startswith("purifier:") for role in needs):
        return "restoration"
    return "latent model" if needs else "filter"


def live(
    pipeline: Pipeline, subject: Subject, purifiers: Sequence[str], seed: int = 0, **attack: Any
) -> pd.DataFrame:
    """One subject's pictures under every purifier: faithfulness, realignment, seconds a picture.

    Args:
        attack: the fields of a cell that say what the pictures were protected with; without them
            they are clean, and a purifier should take nothing away.

    Returns:
        ``purifier``, its ``family``, the measures of :data:`KEPT`, and ``realigned`` (see
        :func:`table`) where there is an attack.
    """
    rows = []
    for name in dict.fromkeys(["none", *purifiers]):
        changes = pipeline.changes(subject, Cell(purifier=name, **attack), seed)
        kept = {column: changes[column] for column in KEPT if column in changes}
        rows.append({"purifier": name, "family": family(name)} | kept)
    result = pd.DataFrame(rows)
    if attack:
        result["realigned"] = 1 - result["shift"] / result["shift"][0]
    return result
