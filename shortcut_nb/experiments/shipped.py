"""The larger measurements that notebooks show beside their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..budget import Budget
from ..profile import Profile, available_presets, available_profiles, load_profile
from ..results import available, read_result
from .measured import FORMAT, Measurement
from .report import judge

ENOUGH_SUBJECTS = 6
CLEAR = 0.25
# Notebooks read these in the form of the first miniature too: `bench --save` may replace them.
REPLACEABLE = ("story", "strength", "methods", "shortcut", "traces", "identifier")
# Modules with ``content(measured)``.
READ = ("shortcut", "traces", "identifier")


class Shipped(dict[str, Any]):
    """The tables of a measurement, beside which a run sets its own.

    Attributes:
        profile: the name of the profile that was measured.
        same: whether the run is of that profile, budget and world of subjects, so that it can be
            held to what was found; elsewhere outcomes are shown and not asserted.
    """

    def __init__(self, content: Mapping[str, Any], profile: str, same: bool = True) -> None:
        super().__init__(content)
        self.profile, self.same = profile, same

    @property
    def heading(self) -> str:
        """What stands above its numbers, "measured on mini: 6 subjects, 2 seeds, 16/255"."""
        parts = [f"{len(self[key])} {key}" for key in ("subjects", "seeds") if key in self]
        parts += [str(self["eps"])] if "eps" in self else []
        return f"measured on {self.profile}: {', '.join(parts)}"


def shipped(
    name: str,
    profile: str | Profile = "mini",
    folder: str | Path | None = None,
    *,
    eps: str | None = None,
    subject: str | None = None,
) -> Shipped:
    """What a measurement found, as its file has it, or the tables that its module makes of it.

    Args:
        profile: whose result; for a Profile that has none of the name, the miniature's.
        folder: where to look; None is the profile's results.
        eps, subject: of the run beside which it is shown; None says that they do not matter.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    run = profile if isinstance(profile, Profile) else None
    named = profile if isinstance(profile, str) else profile.name
    if run is not None and name not in available(named, folder):
        named = "mini"
    content = read_result(name, named, folder)
    if content.get("format") == FORMAT and name in READ:
        module = import_module(f"{__package__}.{name}")
        content = module.content(Measurement.read(name, named, folder))
    same = run is None or _is_profile(run, named)
    return Shipped(content, named, same and _covers(content, eps, subject))


def _is_profile(profile: Profile, named: str) -> bool:
    """Whether a profile is the one of a name: its own models and settings, not another's."""
    if named in (*available_profiles(), *available_presets()):
        return profile == load_profile(named)
    return profile.name == named


def _covers(content: Mapping[str, Any], eps: str | None, subject: str | None) -> bool:
    """Whether a run's budget was measured, and on subjects of its kind."""
    budgets = [*content.get("budgets", ()), *([content["eps"]] if "eps" in content else ())]
    if eps is not None and budgets and str(Budget.parse(eps)) not in budgets:
        return False
    worlds = {_world(name) for name in content.get("subjects", ())}
    return subject is None or not worlds or _world(subject) in worlds


def _world(subject: str) -> str:
    """Where a subject comes from: "mini" of "mini:held-out/3", "" of a folder of photos."""
    head, colon, _ = subject.partition(":")
    return head if colon and "/" not in head else ""


def whom(measured: Measurement) -> dict[str, Any]:
    """Of whom and of how many samples a measurement is."""
    frame = measured.frame
    return {
        "subjects": sorted(frame["subject"].unique()),
        "seeds": sorted(int(seed) for seed in frame["seed"].unique()),
        "samples": measured.samples,
    }


def earlier(
    name: str, profile: str, folder: Path | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The file that a run's rows are to join.

    Args:
        settings: of this run, by their names in the file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it was measured with other settings, so that its rows cannot stand beside ours.
    """
    found = read_result(name, profile, folder)
    for key, value in settings.items():
        given = sorted(value) if isinstance(value, list) else value
        if found[key] != given:
            raise ValueError(
                f"the result {name!r} was measured with {key} = {found[key]}, this run with "
                f"{value}: give both the same, or measure everything anew without --add"
            )
    return found


def verdict(holds: bool | None) -> str:
    """What an interval says of a claim: "confirmed", "refuted" or "undecided"."""
    if holds is None or holds != holds:  # a table's column has NaN for None
        return "undecided"
    return "confirmed" if holds else "refuted"


def gap(name: str, each: np.ndarray, direction: int) -> dict[str, Any]:
    """Columns of a paired difference: ``name``, ``name_low``, ``_high``, ``_holds``, ``_weakest``.

    Args:
        each: one difference per subject; an empty one gives no columns.
        direction: the claimed sign; see :func:`shortcut_nb.experiments.report.judge`.
    """
    if not len(each):
        return {}
    found = judge(each, direction)
    ends = ("low", "high", "holds", "weakest")
    return {name: found["difference"]} | {f"{name}_{end}": found[end] for end in ends}


def with_gaps(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The table with all columns of :func:`gap` for each name, NaN where there was no gap."""
    ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high", "_holds", "_weakest")]
    return table.reindex(columns=[*table, *(end for end in ends if end not in table)])


def compare(
    mine: pd.DataFrame,
    rows: Sequence[dict[str, Any]],
    by: Sequence[str],
    name: str = "difference",
    strict: bool = True,
) -> pd.DataFrame:
    """Set a run's own differences beside those of the larger run; one row per ``by``.

    A difference is asserted to have the same sign here where the larger run decided it (its
    interval excludes zero) on at least :data:`ENOUGH_SUBJECTS` subjects, every one of them with
    that sign and at least :data:`CLEAR` of the mean. The others are shown.

    Args:
        mine: columns ``by`` and ``name``.
        rows: the shipped rows, with what :func:`gap` says of ``name``, and ``n``.
        strict: False asserts nothing, for a run of another profile or settings
            (:attr:`Shipped.same`); what was measured here alone is then a row of its own.

    Raises:
        AssertionError: when an asserted difference has another sign here, or nothing is in both.
    """
    other = pd.DataFrame(rows)
    ends = [f"{name}_{end}" for end in ("low", "high", "holds", "weakest")]
    if strict and not (
        {*by, name} <= set(mine.columns) and {*by, name, *ends, "n"} <= set(other.columns)
    ):
        raise AssertionError(f"nothing to check: no {name} was measured both here and there")
    mine, other = mine.reindex(columns=[*by, name]), other.reindex(columns=[*by, name, *ends, "n"])
    here = mine.dropna(subset=[name]).rename(columns={name: "here"})
    both = here.merge(other.dropna(subset=[name]), on=list(by), how="inner" if strict else "left")
    if strict and both.empty:
        raise AssertionError(f"nothing to check: no {name} was measured both here and there")
    missing = both[name].isna()
    held = [verdict(x) for x in both.pop(f"{name}_holds")]
    # "weakest" is measured in the claimed direction; a refuted claim is never asserted.
    clear = both.pop(f"{name}_weakest") >= CLEAR * both[name].abs()
    sure = pd.Series([x == "confirmed" for x in held], index=both.index) & clear
    both["verdict"] = pd.Series(held, index=both.index).mask(missing, "")
    both["asserted"] = sure & (both["n"] >= ENOUGH_SUBJECTS) & strict
    both["agrees"] = (both["here"] * both[name] > 0).astype(object).mask(missing, "")
    wrong = both[both["asserted"] & ~(both["here"] * both[name] > 0)]
    if len(wrong):
        raise AssertionError(f"not as the larger run found:\n{wrong.to_string()}")
    return both


def compare_judged(
    mine: Sequence[dict[str, Any]],
    theirs: Sequence[dict[str, Any]],
    by: Sequence[str],
    strict: bool = True,
) -> pd.DataFrame:
    """:func:`compare` for rows that hold what :func:`.report.judge` says, named ``by``."""
    names = {end: f"difference_{end}" for end in ("low", "high", "holds", "weakest")}
    names["subjects"] = "n"
    renamed = [{names.get(key, key): held for key, held in row.items()} for row in theirs]
    return compare(pd.DataFrame(mine), renamed, by, strict=strict)
