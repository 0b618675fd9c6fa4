"""What a purifier keeps, gives back and costs: plain functions on what was measured.

The question itself is :mod:`.questions.purification`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..analysis.pareto import pareto
from ..cells import Cell
from ..pipeline import Pipeline
from ..purify import Chain, build, parameter_names, roles
from ..subjects import Subject
from .experiment import JOIN
from .memory import peak_memory
from .questions.purification import left, restored
from .summary import Summary

KEPT = ("perceptual", "psnr", "ssim", "likeness", "shift", "purify_seconds", "memory_mib")
SCORES = {"quality": "quality", "ims_missing": "identity", "texture": "texture"}
# Settings that make a purifier short; its peak memory does not depend on them.
SHORT = {"steps": 2, "iterations": 1, "upscale_steps": 2}


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
    judged = kept.verdicts.set_index("contrast")
    for score, word in SCORES.items():
        for label, named in (("restored", restored), ("left", left)):
            names = [
                named(purifier, word, attack)
                for attack, purifier in wide[["attack", "purifier"]].to_numpy()
            ]
            rows = judged.reindex(names)
            wide[f"{score}_{label}"] = rows["mean"].to_numpy()
            wide[f"{score}_{label}_low"] = rows["low"].to_numpy()
            wide[f"{score}_{label}_high"] = rows["high"].to_numpy()
    return wide


def family(purifier: str) -> str:
    """What a purifier is made of: "filter", "latent model", "pixel model" or "restoration"."""
    needs = roles(build(purifier))
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


def fronts(
    rows: pd.DataFrame, recovered: str = "quality", faithful: str = "perceptual"
) -> pd.DataFrame:
    """Which purifiers no other beats in both faithfulness and recovery, under each attack.

    Args:
        rows: what :func:`table` returned; "none" has restored nothing.
        recovered: a score of :data:`SCORES`.
        faithful: a distance to the clean pictures: less is better.

    Returns:
        ``rows`` with ``front``: whether it is on the front of the means.
    """
    gain, parts = f"{recovered}_restored", []
    for _, part in rows.groupby("attack", sort=False):
        part = part.copy()
        ends = [gain, f"{gain}_low", f"{gain}_high"]
        part.loc[part["purifier"] == "none", ends] = 0.0
        part["front"] = pareto(part, rising=[gain], falling=[faithful])
        parts.append(part)
    return pd.concat(parts)


def quick(purifier: str) -> dict[str, int]:
    """The settings of :data:`SHORT` that a purifier, or one link of a chain alone, has."""
    whole = build(purifier)
    links = whole.links if isinstance(whole, Chain) else (whole,)
    known = [name for link in links for name in parameter_names(type(link))]
    return {name: value for name, value in SHORT.items() if known.count(name) == 1}


def memory_of(purifier: str, profile: str = "mini") -> float:
    """Peak resident memory in MiB of purifying one subject's set B, models included."""
    return peak_memory(f"lab.purifier({purifier!r}, **{quick(purifier)})(subject.b)", profile)
