"""How strong is each attack? What ``shortcut-nb bench strength`` measured.

Every registered attack at one budget, and both noise baselines: harm to identity and quality
after DreamBooth, size of the perturbation, CLIP shift, seconds, peak memory (``--memory``). Each
with its interval, and whether the attack beats both kinds of noise.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pandas as pd
from scipy.stats import quantile_test

from ..attacks import ATTACKS
from ..metrics import t_mean
from .choice import chosen
from .measured import Measurement
from .memory import MEMORY, peak_memory
from .report import between, judge, paired, records
from .shipped import whom
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
                ends = t_mean(part[size].to_numpy())
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


def content(measured: Measurement) -> dict[str, Any]:
    """The table and its points, of what ``shortcut-nb bench strength --save`` kept."""
    frame = measured.frame.rename(columns={"sheet": "prompt"})
    each, moved = points(frame), sizes(frame)
    if MEMORY in frame:
        moved = moved.join(frame.groupby("condition")[MEMORY].mean(), on="attack")
    rows = table(each).merge(moved, on="attack")
    eps = {"eps": str(frame["eps"].iloc[0])}
    return eps | whom(measured) | {"attacks": records(rows), "points": records(each)}
