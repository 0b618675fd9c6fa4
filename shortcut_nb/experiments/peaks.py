"""Peak memory of an experiment's cells: what their attack or purifier takes, in a fresh process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from statistics import median
from typing import Any

from ..attacks import ATTACKS
from ..cells import NONE, PROFILE, Cell
from ..profile import load_profile
from ..progress import OnStep, StepInfo
from ..purify import Chain, build, parameter_names
from .memory import peak_memory

# Settings that make an attack short; its peak memory does not depend on them. Except MetaCloak's:
# it keeps weights of two surrogates instead of all stages of its pool.
SHORT = {
    "steps": 2,
    "rounds": 1,
    "pool_steps": 2,
    "interval": 1,
    "trials": 1,
    "surrogate_steps": 1,
    "inner_steps": 1,
    "class_images": 4,
}
# The same of a purifier.
SHORT_PURIFIER = {"steps": 2, "iterations": 1, "upscale_steps": 2}


def peaks(
    cells: Mapping[str, Cell],
    profile: str,
    runs: int,
    on_step: OnStep | None = None,
) -> dict[str, float]:
    """MiB by cell: of the purifier where there is one, else of the attack; clean cells have none.

    Args:
        runs: of each, of which the median is taken.
    """
    work = {name: _work(cell, profile) for name, cell in cells.items()}
    distinct = [each for each in dict.fromkeys(work.values()) if each is not None]
    taken = {}
    for number, (kind, what, eps, settings) in enumerate(distinct):
        if kind == "purifier":
            each = [purifier_memory(what, profile) for _ in range(runs)]
        else:
            each = [attack_memory(what, profile, eps, dict(settings)) for _ in range(runs)]
        taken[kind, what, eps, settings] = median(each)
        if on_step:
            on_step(StepInfo(number + 1, len(distinct), about=what))
    return {name: taken[each] for name, each in work.items() if each is not None}


def _work(cell: Cell, profile: str) -> tuple[str, str, str, tuple[Any, ...]] | None:
    if cell.purifier != NONE:
        own = cell.purifier == PROFILE
        return "purifier", load_profile(profile).purifier if own else cell.purifier, "", ()
    if cell.attack == NONE:
        return None
    return "attack", cell.attack, cell.eps, tuple(sorted(cell.settings.items()))


def quick(attack: str) -> dict[str, int]:
    """The settings of :data:`SHORT` that an attack has."""
    named = {field.name for field in fields(ATTACKS[attack])}
    return {name: value for name, value in SHORT.items() if name in named}


def attack_memory(
    attack: str, profile: str = "mini", eps: str = "16/255", settings: dict[str, Any] | None = None
) -> float:
    """Peak resident memory in MiB of one short attack; see :func:`.memory.peak_memory`."""
    given = quick(attack) | (settings or {})
    return peak_memory(f"lab.attack({attack!r}, eps={eps!r}, **{given!r})(subject)", profile)


def quick_purifier(purifier: str) -> dict[str, int]:
    """The settings of :data:`SHORT_PURIFIER` that a purifier, or one link of a chain alone, has."""
    whole = build(purifier)
    links = whole.links if isinstance(whole, Chain) else (whole,)
    known = [name for link in links for name in parameter_names(type(link))]
    return {name: value for name, value in SHORT_PURIFIER.items() if known.count(name) == 1}


def purifier_memory(purifier: str, profile: str = "mini") -> float:
    """Peak resident memory in MiB of purifying one subject's set B, models included."""
    settings = quick_purifier(purifier)
    return peak_memory(f"lab.purifier({purifier!r}, **{settings!r})(subject.b)", profile)
