"""Peak memory of an experiment's cells: what their attack or purifier takes, in a fresh process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version
from statistics import median
from typing import Any

from ..attacks import ATTACKS
from ..cells import NONE, PROFILE, Cell
from ..profile import Profile, load_profile
from ..progress import OnStep, StepInfo
from ..purify import Chain, build
from ..resuming.kept_work import make_or_warn
from ..settings import parameters
from ..store import Payload, Recipe, Store
from .process_memory import peak_memory

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


log = logging.getLogger("shortcut_nb")
VERSION = "1"  # of what is measured: change it when an attack or purifier takes other memory
LIBRARIES = ("torch", "diffusers", "transformers")
Work = tuple[str, str, str, tuple[Any, ...]]
"""What is measured: "purifier" or "attack", its name, an attack's budget, and further settings."""


def peaks(
    cells: Mapping[str, Cell],
    profile: str,
    runs: int,
    store: Store,
    on_step: OnStep | None = None,
) -> dict[str, float]:
    """MiB by cell: of the purifier where there is one, else of the attack; clean cells have none.

    What cannot be measured is said and left out.

    Args:
        runs: of each, of which the median is taken.
        store: keeps each, under the profile's content and the versions of its libraries.
    """
    opened = load_profile(profile)
    work = {name: _work(cell, opened) for name, cell in cells.items()}
    distinct = [each for each in dict.fromkeys(work.values()) if each is not None]
    taken = {}
    for number, one in enumerate(distinct):
        try:
            taken[one] = _kept(one, profile, runs, store, opened)
        except RuntimeError as error:
            log.warning("peak memory of %s was not measured: %s", one[1], error)
        if on_step:
            on_step(StepInfo(number + 1, len(distinct), about=one[1]))
    return {name: taken[each] for name, each in work.items() if each in taken}


def _work(cell: Cell, profile: Profile) -> Work | None:
    if cell.purifier != NONE:
        own = cell.purifier == PROFILE
        name = profile.purifier if own else cell.purifier
        return "purifier", name, "", tuple(sorted(cell.purifying.items()))
    if cell.attack == NONE:
        return None
    return "attack", cell.attack, cell.eps, tuple(sorted(cell.settings.items()))


def _kept(work: Work, profile: str, runs: int, store: Store, opened: Profile) -> float:
    """The median of some runs; measured without being kept where the store cannot be written."""
    short = SHORT_PURIFIER if work[0] == "purifier" else SHORT
    libraries = {name: version(name) for name in LIBRARIES}
    params = {"of": work, "short": short, "runs": runs, "profile": opened} | libraries

    def measure() -> float:
        return median(_measured(work, profile) for _ in range(runs))

    def save(out: Payload, mib: float) -> None:
        out.save_json("peak", {"mib": mib})

    def read(entry: Payload) -> float:
        return entry.json("peak")["mib"]

    recipe = Recipe("memory", VERSION, params)
    return make_or_warn(store, recipe, f"peak memory of {work[1]}", measure, save, read)


def _measured(work: Work, profile: str) -> float:
    kind, what, eps, settings = work
    if kind == "purifier":
        return purifier_memory(what, profile, dict(settings))
    return attack_memory(what, profile, eps, dict(settings))


def quick(attack: str) -> dict[str, int]:
    """The settings of :data:`SHORT` that an attack has."""
    named = {field.name for field in fields(ATTACKS[attack])}
    return {name: value for name, value in SHORT.items() if name in named}


def attack_memory(
    attack: str, profile: str = "mini", eps: str = "16/255", settings: dict[str, Any] | None = None
) -> float:
    """Peak resident memory in MiB of one short attack; see :func:`.process_memory.peak_memory`."""
    given = quick(attack) | (settings or {})
    return peak_memory(f"lab.attack({attack!r}, eps={eps!r}, **{given!r})(subject)", profile)


def quick_purifier(purifier: str) -> dict[str, int]:
    """The settings of :data:`SHORT_PURIFIER` that a purifier, or one link of a chain alone, has."""
    whole = build(purifier)
    links = whole.links if isinstance(whole, Chain) else (whole,)
    known = [name for link in links for name in parameters(type(link))]
    return {name: value for name, value in SHORT_PURIFIER.items() if known.count(name) == 1}


def purifier_memory(
    purifier: str, profile: str = "mini", settings: dict[str, Any] | None = None
) -> float:
    """Peak resident memory in MiB of purifying one subject's set B, models included."""
    given = quick_purifier(purifier) | (settings or {})
    return peak_memory(f"lab.purifier({purifier!r}, **{given!r})(subject.b)", profile)
