"""Which purifier gives the person back? What ``shortcut-nb bench purification`` measured.

Every purifier against several attacks at one budget: realignment in CLIP space, faithfulness to
the clean pictures, what it restores after DreamBooth, seconds a picture, each with its interval
over subjects; and peak memory (``--memory``).
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..analysis.pareto import pareto
from ..lab import Lab
from ..metrics import t_mean
from ..purify import Chain, build, parameter_names, roles
from . import matrix
from .measured import Measurement
from .memory import MEMORY, peak_memory
from .questions.purification import available as available_to
from .report import between, judge, paired, records
from .shipped import whom
from .stages import Cell, Stages

SCORES = ("ims_missing", "quality", "texture")
FAITHFUL = ("psnr", "ssim", "perceptual", "likeness", "shift", "shift_projection", "purify_seconds")
# Settings that make a purifier short; its peak memory does not depend on them.
SHORT = {"steps": 2, "iterations": 1, "upscale_steps": 2}


def available(lab: Lab) -> list[str]:
    """The purifiers and named chains whose models the lab's profile names, and its own chain."""
    return available_to(lab.profile)


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per attack and purifier: faithfulness, realignment, and what came back.

    ``realigned`` is the share of the attack's shift in CLIP space that is gone (1: back at the
    clean picture, below 0: further away). It and the measures of :data:`FAITHFUL` have the ends of
    their intervals over subjects (``…_low``, ``…_high``). ``…_restored`` is the score's rise over
    no purifier, ``…_left`` what is still missing to training on clean pictures (negative: worse).
    """
    own, rows = frame[frame["prompt"] == "instance"], []
    for name, part in own.groupby("condition", sort=False):
        if name == "clean":
            continue
        attack, purifier = str(name).split(" | ")
        none = own[own["condition"] == f"{attack} | none"]
        row: dict = {"attack": attack, "purifier": purifier, "subjects": part["subject"].nunique()}
        each = part.groupby("subject")[[*FAITHFUL, *SCORES]].mean()
        if len(none):
            before = none.groupby("subject")["shift"].mean()
            each["realigned"] = 1 - each["shift"] / before
        row |= each.mean().to_dict()
        for column in each.columns.difference(SCORES):
            ends = t_mean(each[column].to_numpy())
            row |= {f"{column}_low": ends.low, f"{column}_high": ends.high}
        for score in SCORES:
            for label, other in (("restored", f"{attack} | none"), ("left", "clean")):
                if other == name:
                    continue
                gaps = paired(own, score, str(name), other)
                if len(gaps):
                    found = judge(gaps, 1)
                    row |= {f"{score}_{label}": found["difference"],
                            f"{score}_{label}_low": found["low"],
                            f"{score}_{label}_high": found["high"]}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """A table for reading: realignment, faithfulness and cost, with their intervals.

    PSNR in dB, seconds a picture; MiB at the peak is the median and range of several runs, where
    there are some.

    Args:
        rows: what :func:`table` gives.
    """
    shown = {"realigned": "+.2f", "psnr": ".1f", "ssim": ".2f", "perceptual": ".2f",
             "likeness": ".2f", "purify_seconds": ".3f", MEMORY: ".0f"}  # fmt: skip
    found = {
        name: [between(row[name], row.get(f"{name}_low"), row.get(f"{name}_high"), spec)
               for _, row in rows.iterrows()]
        for name, spec in shown.items() if name in rows
    }  # fmt: skip
    return pd.DataFrame(found).set_index(pd.MultiIndex.from_frame(rows[["attack", "purifier"]]))


def family(purifier: str) -> str:
    """What a purifier is made of: "filter", "latent model", "pixel model" or "restoration"."""
    needs = roles(build(purifier))
    if "purifier:pixel" in needs:
        return "pixel model"
    if any(role.startswith("purifier:") for role in needs):
        return "restoration"
    return "latent model" if needs else "filter"


def live(
    stages: Stages, subject: str, attack: str | None, purifiers: list[str], eps: str, seed: int
) -> pd.DataFrame:
    """One subject's pictures under every purifier: faithfulness, realignment, seconds a picture.

    Columns as in :func:`table`, with ``purifier`` and its ``family``; no attack means clean
    pictures, of which a purifier should take nothing away.
    """
    rows = []
    for name in dict.fromkeys(["none", *purifiers]):
        cell = Cell(attack, eps=eps, purifier=name)
        found = matrix.changes(stages, subject, cell, seed)
        rows.append({"purifier": name, "family": family(name)} | {k: found[k] for k in FAITHFUL})
    shown = pd.DataFrame(rows)
    if attack:
        shown["realigned"] = 1 - shown["shift"] / shown["shift"][0]
    return shown


def fronts(rows: pd.DataFrame, recovered: str, faithful: str = "perceptual") -> pd.DataFrame:
    """Which purifiers no other beats in both faithfulness and recovery, under each attack.

    Args:
        rows: what :func:`table` returned; "none" has restored nothing.
        recovered: a score of :data:`SCORES`.
        faithful: a distance to the clean pictures: less is better.

    Returns:
        ``rows`` with ``front`` (on the front of the means) and ``beaten``: another purifier is at
        least as faithful and its interval of what came back lies above this one's.
    """
    gain, parts = f"{recovered}_restored", []
    for _, part in rows.groupby("attack", sort=False):
        part = part.copy()
        ends = [gain, f"{gain}_low", f"{gain}_high"]
        part.loc[part["purifier"] == "none", ends] = 0.0
        part["front"] = pareto(part, rising=[gain], falling=[faithful])
        part["beaten"] = [
            bool(((part[faithful] <= one[faithful]) & (part[ends[1]] > one[ends[2]])).any())
            for _, one in part.iterrows()
        ]
        parts.append(part)
    return pd.concat(parts)


def on_front(found: pd.DataFrame, purifier: str) -> bool | None:
    """Whether a purifier is on the front under every attack.

    None where the means say no but the intervals do not: False needs a rival under every attack
    that beats it beyond them.

    Raises:
        KeyError: when the purifier was not measured.
    """
    own = found[found["purifier"] == purifier]
    if own.empty:
        have = ", ".join(found["purifier"].unique())
        raise KeyError(f"{purifier!r} was not measured; there are {have}. Run the experiment again")
    if own["front"].all():
        return True
    return False if own["beaten"].all() else None


def quick(purifier: str) -> dict[str, int]:
    """The settings of :data:`SHORT` that a purifier, or one link of a chain alone, has."""
    made = build(purifier)
    links = made.links if isinstance(made, Chain) else (made,)
    known = [name for link in links for name in parameter_names(type(link))]
    return {name: value for name, value in SHORT.items() if known.count(name) == 1}


def memory_of(purifier: str, profile: str = "mini") -> float:
    """Peak resident memory in MiB of purifying one subject's set B, models included."""
    return peak_memory(f"lab.purifier({purifier!r}, **{quick(purifier)})(subject.b)", profile)


def content(measured: Measurement) -> dict[str, Any]:
    """The table of what ``shortcut-nb bench purification --save`` kept."""
    frame = measured.frame.rename(columns={"sheet": "prompt"})
    clean = (frame["attack"] == "none") & (frame["purifier"] == "none")
    frame = frame.assign(condition=frame["condition"].mask(clean, "clean"))
    frame = frame[clean | (frame["attack"] != "none")]
    rows = table(frame)
    if MEMORY in frame:
        rows = rows.join(frame.groupby("purifier")[MEMORY].mean(), on="purifier")
    return {"eps": str(frame["eps"].iloc[0])} | whom(measured) | {"rows": records(rows)}
