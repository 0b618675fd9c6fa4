"""How strong is each attack? ``python -m shortcut_nb.experiments.strength``.

Every registered attack at one budget, and both noise baselines: harm to identity and quality
after DreamBooth, size of the perturbation, CLIP shift, seconds, peak memory. Each with its
interval, and whether the attack beats both kinds of noise. Resumable through the store. With
``--add`` the attacks named join the table that is there, which is not measured again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from scipy.stats import quantile_test
from tqdm.contrib.concurrent import thread_map

from ..attacks import ATTACKS
from ..metrics import bootstrap_mean
from ..profile import load_profile
from ..results import OUT, write_result
from . import matrix
from .choice import chosen
from .figures import score_figures
from .memory import MEMORY, memories, peak_memory
from .report import about, between, joined, judge, means, paired, records
from .shipped import earlier
from .stages import Cell

NOISE = ("noise", "noise-uniform")
HARMS = {"ims_missing": -1, "quality": -1, "texture": 1}  # score: the direction of harm
SIZES = ("linf", "l2", "psnr", "ssim", "shift", "shift_projection")
COST = "attack_seconds"
# Variants that the registry does not name: a condition, its attack and its settings.
VARIANTS: dict[str, tuple[str, tuple]] = {
    "advdm−": ("advdm", (("direction", -1),)),
    "sds+": ("sds", (("direction", 1),)),
    "sdst": ("sds", (("targeted", True),)),
}
SHORT = {"steps": 2, "rounds": 1, "pool_steps": 2, "interval": 1, "trials": 1, "surrogate_steps": 1,
         "inner_steps": 1, "class_images": 4}  # fmt: skip


def cells(eps: str, names: list[str] | None = None, ensemble: bool = True) -> dict[str, Cell]:
    """One cell per attack (all, or those named) and one for clean pictures.

    Args:
        ensemble: False leaves out the attacks on several base models, for a profile with one.

    Raises:
        typer.BadParameter: for an attack that there is not.
    """
    wanted = chosen(names, [*ATTACKS, *VARIANTS], "attack")
    if not ensemble:
        wanted = [name for name in wanted if not name.startswith("e-")]
    wanted = [name for name in wanted if names or not name.startswith("adaptive-")]
    found = {"clean": Cell(eps=eps)}
    for name in wanted:
        attack, settings = VARIANTS.get(name, (name, ()))
        found[name] = Cell(attack, eps=eps, settings=settings)
    return found


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per attack and subject, means over samples and seeds.

    Scores of the V* samples, and how far the attack moved the pictures (:data:`SIZES`).
    """
    own = frame[frame["prompt"] == "instance"]
    keys = ["condition", "eps", "subject"]
    return own.groupby(keys, sort=False)[[*HARMS, *SIZES]].mean().reset_index()


def sizes(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per attack: how far it moved the pictures, means over subjects, and its seconds.

    ``attack_seconds`` is the median over runs, since a clock is at the mercy of other work, with
    the ends of its distribution-free 95 % interval (order statistics; NaN for under six runs).
    """
    by_run = frame.groupby(["condition", "subject", "seed"], sort=False)[[*SIZES, COST]].first()
    by_subject = by_run[list(SIZES)].groupby(["condition", "subject"], sort=False).mean()
    by_attack = by_subject.groupby("condition", sort=False).mean()
    taken = by_run[COST].groupby("condition", sort=False)
    ends = {name: quantile_test(each, p=0.5).confidence_interval() for name, each in taken}
    clock = {COST: taken.median(), f"{COST}_low": pd.Series({k: v.low for k, v in ends.items()}),
             f"{COST}_high": pd.Series({k: v.high for k, v in ends.items()})}  # fmt: skip
    return by_attack.join(pd.DataFrame(clock)).rename_axis("attack").reset_index()


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per attack: mean scores, harms against clean pictures, and against both noises.

    Sizes have the ends of their intervals (``psnr_low``, …) where every subject's was kept.

    ``beats_noise`` is True when, in identity, quality or texture, the attack does more harm than
    *both* noise baselines with a 95 % interval that excludes zero.

    Args:
        rows: see :func:`points`.
    """
    found = []
    for name, part in rows.groupby("condition", sort=False):
        row: dict = {"attack": name, "subjects": len(part)}
        for score in HARMS:
            row[score] = float(part[score].mean())
            if name != "clean" and len(each := paired(rows, score, str(name), "clean")):
                judged = judge(each, HARMS[score])
                row |= {f"{score}_harm": judged["difference"], f"{score}_low": judged["low"],
                        f"{score}_high": judged["high"]}  # fmt: skip
        for size in SIZES:
            if size in part and part[size].notna().all():
                ends = bootstrap_mean(part[size].to_numpy())
                row |= {f"{size}_low": ends.low, f"{size}_high": ends.high}
        if name not in ("clean", *NOISE):
            row["beats_noise"] = any(_beats(rows, str(name), score) for score in HARMS)
        found.append(row)
    return pd.DataFrame(found)


def _beats(own: pd.DataFrame, name: str, score: str) -> bool:
    """Whether an attack harms a score more than every noise baseline that was run."""
    each = [paired(own, score, name, noise) for noise in NOISE]
    found = [judge(one, HARMS[score]) for one in each if len(one)]
    return bool(found) and all(one["holds"] is True for one in found)


def harms(rows: pd.DataFrame) -> pd.DataFrame:
    """A strength table for reading: each change against clean pictures with its interval."""

    def said(row: pd.Series, score: str) -> str:
        return between(*(row[f"{score}_{part}"] for part in ("harm", "low", "high")))

    columns = {score: [said(row, score) for _, row in rows.iterrows()] for score in HARMS}
    found = pd.DataFrame(columns | {"beats_noise": rows["beats_noise"]}, index=rows.index)
    return found.loc[rows["quality"].sort_values().index]


def _rebased(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Earlier points, moved so that each stands as far from today's clean pictures as from its own.

    Another machine's arithmetic gives other samples for clean pictures too.
    """
    scores = list(HARMS)
    clean = [part[part["condition"] == "clean"].set_index("subject")[scores]
             for part in (before, now)]  # fmt: skip
    moved = (clean[1] - clean[0]).loc[before["subject"]].to_numpy()
    return before.assign(**dict(zip(scores, (before[scores].to_numpy() + moved).T, strict=True)))


def visibility(rows: pd.DataFrame) -> pd.DataFrame:
    """A strength table for reading: sizes and cost, with their intervals where there are any.

    l∞ and l2 in grey levels, PSNR in dB; seconds a set, MiB at the peak.
    """

    def said(row: pd.Series, name: str, digits: int) -> str:
        ends = row.get(f"{name}_low"), row.get(f"{name}_high")
        return between(row[name], *ends, f".{digits}f")

    shown = {name: 2 for name in SIZES} | {name: 0 for name in (COST, MEMORY) if name in rows}
    columns = {name: [said(row, name, digits) for _, row in rows.iterrows()]
               for name, digits in shown.items()}  # fmt: skip
    return pd.DataFrame(columns, index=rows.index)


def quick(attack: str) -> dict[str, int]:
    """Settings that make an attack short, at the same peak memory.

    Except MetaCloak's: it keeps weights of two surrogates instead of all stages of its pool.
    """
    named = {field.name for field in fields(ATTACKS[attack])}
    return {name: value for name, value in SHORT.items() if name in named}


def memory_of(
    attack: str, profile: str = "mini", eps: str = "16/255", settings: dict | None = None
) -> float:
    """Peak resident memory in MiB of one short attack; see :func:`.memory.peak_memory`."""
    given = quick(attack) | (settings or {})
    return peak_memory(f"lab.attack({attack!r}, eps={eps!r}, **{given!r})(subject)", profile)


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 2,
    eps: Annotated[str, typer.Option(help="the common budget")] = "16/255",
    attack: Annotated[list[str] | None, typer.Option(help="these only")] = None,
    add: Annotated[bool, typer.Option(help="to the table in OUT, keeping its others")] = False,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    memory: Annotated[int, typer.Option(help="runs for each attack's peak memory; 0: none")] = 3,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    named = load_profile(profile)
    people = matrix.first_subjects(named, subjects)
    them = cells(eps, attack, ensemble=bool(named.ensemble))
    settings = {"eps": eps, "subjects": people, "seeds": list(range(seeds)), "samples": n}
    before = earlier("strength", profile, out, settings) if add else None
    frame = matrix.run(them, people, range(seeds), profile=profile, n=n, workers=workers)
    tasks = [(name, profile, eps) for name in them if name != "clean"] * memory
    peaks = thread_map(_memory, tasks, max_workers=max(1, workers), desc="memory")
    report(frame, eps, out, pd.DataFrame(peaks, columns=["attack", MEMORY]), before, profile)


def _memory(task: tuple[str, str, str]) -> tuple[str, float]:
    name, profile, eps = task
    attack, settings = VARIANTS.get(name, (name, ()))
    return name, memory_of(attack, profile, eps, dict(settings))


def report(
    frame: pd.DataFrame, eps: str, out: Path | None, peaks: pd.DataFrame | None = None,
    before: Mapping[str, Any] | None = None, profile: str = "mini",
) -> None:  # fmt: skip
    """Write ``strength.json`` (the table and its points) and one figure per harm.

    Args:
        peaks: MiB (``memory_mib``) of each ``attack``, a row per run.
        before: an earlier file's content; its attacks stay, except those that ``frame`` has.
    """
    each, moved = points(frame), sizes(frame)
    old = pd.DataFrame(before["attacks"]) if before else None
    if peaks is not None and len(peaks):
        moved = moved.join(memories(peaks, "attack"), on="attack")
    elif old is not None:  # not measured this time: what is known stays
        moved = moved.join(old.set_index("attack").filter(like=MEMORY), on="attack")
    if before:
        there = _rebased(pd.DataFrame(before["points"]), each)
        each = joined(there, each, ["condition", "eps"])
        moved = joined(old[[name for name in moved if name in old]], moved, ["attack"])
    rows = table(each).merge(moved, on="attack")
    content = about(frame, eps) | {"attacks": records(rows), "points": records(each)}
    write_result("strength", content, profile, out)
    shown = means(each, ["condition", "eps"], list(HARMS))
    score_figures(shown.sort_values("mean"), "strength", f"after each attack at {eps}, sorted",
                  by="eps", group="condition", out=out)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
