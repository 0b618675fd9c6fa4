"""The larger measurements that notebooks show beside their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..results import read_result
from .measured import FORMAT, Measurement
from .report import judge

ENOUGH_SUBJECTS = 6
CLEAR = 0.25
# Modules with ``content(measured)``.
READ = ("story", "strength", "purification", "words", "decoupling")


def shipped(name: str, profile: str = "mini", folder: str | Path | None = None) -> dict[str, Any]:
    """What a measurement found; of one that `bench` kept, the tables that its module makes of it.

    Args:
        folder: where to look; None is the profile's results.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    content = read_result(name, profile, folder)
    if content.get("format") != FORMAT or name not in READ:
        return content
    module = import_module(f"{__package__}.{name}")
    return module.content(Measurement.read(name, profile, folder))


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
    mine: pd.DataFrame, rows: Sequence[dict[str, Any]], by: Sequence[str], name: str = "difference"
) -> pd.DataFrame:
    """Set a run's own differences beside those of the larger run; one row per ``by``.

    A difference is asserted to have the same sign here where the larger run decided it (its
    interval excludes zero) on at least :data:`ENOUGH_SUBJECTS` subjects, every one of them with
    that sign and at least :data:`CLEAR` of the mean. The others are shown.

    Args:
        mine: columns ``by`` and ``name``.
        rows: the shipped rows, with what :func:`gap` says of ``name``, and ``n``.

    Raises:
        AssertionError: when an asserted difference has another sign here, or nothing is in both.
    """
    other = pd.DataFrame(rows)
    keep = [*by, name, f"{name}_low", f"{name}_high", f"{name}_holds", f"{name}_weakest", "n"]
    if not {*by, name} <= set(mine.columns) or not set(keep) <= set(other.columns):
        raise AssertionError(f"nothing to check: no {name} was measured both here and there")
    here = mine.dropna(subset=[name])[[*by, name]].rename(columns={name: "here"})
    both = here.merge(other.dropna(subset=[name])[keep], on=list(by))
    if both.empty:
        raise AssertionError(f"nothing to check: no {name} was measured both here and there")
    held = [verdict(x) for x in both.pop(f"{name}_holds")]
    # "weakest" is measured in the claimed direction; a refuted claim is never asserted.
    clear = both.pop(f"{name}_weakest") >= CLEAR * both[name].abs()
    sure = pd.Series([x == "confirmed" for x in held]) & clear
    both["verdict"], both["asserted"] = held, sure & (both["n"] >= ENOUGH_SUBJECTS)
    both["agrees"] = both["here"] * both[name] > 0
    wrong = both[both["asserted"] & ~both["agrees"]]
    if len(wrong):
        raise AssertionError(f"not as the larger run found:\n{wrong.to_string()}")
    return both


def compare_judged(
    mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], by: Sequence[str]
) -> pd.DataFrame:
    """:func:`compare` for rows that hold what :func:`.report.judge` says, named ``by``."""
    names = {end: f"difference_{end}" for end in ("low", "high", "holds", "weakest")}
    names["subjects"] = "n"
    renamed = [{names.get(key, key): held for key, held in row.items()} for row in theirs]
    return compare(pd.DataFrame(mine), renamed, by)
