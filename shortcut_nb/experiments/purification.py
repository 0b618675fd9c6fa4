"""Which purifier gives the person back? ``python -m shortcut_nb.experiments.purification``.

Every purifier against several attacks at one budget: realignment in CLIP space, faithfulness to
the clean pictures, what it restores after DreamBooth, seconds a picture, each with its interval
over subjects; and peak memory. Resumable through the store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from tqdm.contrib.concurrent import thread_map

from ..analysis.pareto import pareto
from ..lab import Lab
from ..metrics import bootstrap_mean
from ..profile import load_profile
from ..purify import ALIASES, PURIFIERS, Chain, build, expand, parameter_names, roles
from ..results import OUT, write_result
from . import matrix
from .figures import score_figures
from .memory import MEMORY, memories, peak_memory
from .report import about, between, judge, means, paired, records
from .stages import Cell, Stages

ATTACKS = ("aspl", "advdm", "photoguard", "metacloak")
SCORES = ("ims_missing", "quality", "texture")
FAITHFUL = ("psnr", "ssim", "perceptual", "likeness", "shift", "shift_projection", "purify_seconds")
# Settings that make a purifier short; its peak memory does not depend on them.
SHORT = {"steps": 2, "iterations": 1, "upscale_steps": 2}


def available(lab: Lab) -> list[str]:
    """The purifiers and named chains whose models the lab's profile names, and its own chain."""
    have, named = set(lab.profile.models()), lab.profile.purifiers
    known = sorted([*PURIFIERS, *ALIASES])
    found = [name for name in known if set(roles(build(expand(name, named)))) <= have]
    return list(dict.fromkeys([*found, lab.profile.purifier]))


def cells(eps: str, attacks: list[str], purifiers: list[str]) -> dict[str, Cell]:
    """Clean pictures, and every attack under every purifier ("none" among them)."""
    found = {"clean": Cell(eps=eps)}
    for attack in attacks:
        for purifier in purifiers:
            found[f"{attack} | {purifier}"] = Cell(attack, eps=eps, purifier=purifier)
    return found


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
            ends = bootstrap_mean(each[column].to_numpy())
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


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 2,
    eps: Annotated[str, typer.Option(help="the common budget")] = "16/255",
    attack: Annotated[list[str] | None, typer.Option(help="these only")] = None,
    purifier: Annotated[list[str] | None, typer.Option(help="these only")] = None,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    memory: Annotated[int, typer.Option(help="runs for each one's peak memory; 0: none")] = 3,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    people = matrix.first_subjects(load_profile(profile), subjects)
    names = purifier or available(Lab(profile))
    names = list(dict.fromkeys(["none", *names]))
    chosen = cells(eps, attack or list(ATTACKS), names)
    frame = matrix.run(chosen, people, range(seeds), profile=profile, n=n, workers=workers)
    tasks = [(name, profile) for name in names] * memory
    peaks = thread_map(_memory, tasks, max_workers=max(1, workers), desc="memory")
    report(frame, eps, out, pd.DataFrame(peaks, columns=["purifier", MEMORY]), profile)


def _memory(task: tuple[str, str]) -> tuple[str, float]:
    return task[0], memory_of(*task)


def report(
    frame: pd.DataFrame,
    eps: str,
    out: Path | None,
    peaks: pd.DataFrame | None = None,
    profile: str = "mini",
) -> None:
    """Write ``purification.json`` (the table) and a figure a score.

    Args:
        peaks: MiB (``memory_mib``) of each ``purifier``, a row per run.
    """
    rows = table(frame)
    if peaks is not None and len(peaks):
        rows = rows.join(memories(peaks, "purifier"), on="purifier")
    write_result("purification", about(frame, eps) | {"rows": records(rows)}, profile, out)
    shown = means(frame[frame["prompt"] == "instance"], ["purifier", "attack"], SCORES)
    score_figures(shown, "purification", f"for each purifier and attack at {eps}",
                  by="attack", group="purifier", out=out)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
