"""What a run would make, and how long that takes, by what was made before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Any

import pandas as pd

from ..store import Store
from ..store.recipe import STAGES
from .graph import Graph

COSTLY_STAGES = ("protect", "purify", "train")
"""Stages in which one kind takes seconds and another hours: only the same kind is a guide."""


def planned(graph: Graph, store: Store, workers: int = 1) -> pd.DataFrame:
    """What a run would do, by stage.

    Returns:
        ``stage``; how many outputs are ``kept`` and ``missing``; ``seconds``, an estimate for those
        missing ones of whose kind some were made before, divided by the number of workers; and
        ``unknown``, how many are of a kind that never was. The estimate is the median of the same
        attack, purifier or trainer; in other stages, where kinds differ little, of the stage.
    """
    kept = Counter(graph.nodes[key].recipe.stage for key in graph.kept)
    missing = Counter(graph.nodes[key].recipe.stage for key in graph.missing)
    seconds, unknown = dict.fromkeys(STAGES, 0.0), Counter[str]()
    known = costs(store) if graph.missing else {}
    for key in graph.missing:
        recipe = graph.nodes[key].recipe
        alike = known.get(output_kind(recipe.fields))
        if alike is None and recipe.stage not in COSTLY_STAGES:
            alike = known.get((recipe.stage, recipe.fields["inputs"].get("arithmetic", "")))
        if alike is None:
            unknown[recipe.stage] += 1
        else:
            seconds[recipe.stage] += alike / workers
    columns: dict[str, Mapping[str, float]] = {
        "kept": kept,
        "missing": missing,
        "seconds": seconds,
        "unknown": unknown,
    }
    rows = [
        {"stage": stage} | {name: values[stage] for name, values in columns.items()}
        for stage in STAGES
    ]
    return pd.DataFrame(rows)


def missing_of(graph: Graph, store: Store) -> pd.DataFrame:
    """What must be made, people and seeds together, in the order in which it is made.

    Returns:
        ``stage``, ``what``, ``outputs`` (how many), and ``error``: why one of them could not be
        made the last time, "" where none has failed.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for key in graph.missing:
        node = graph.nodes[key]
        stage = node.recipe.stage
        what = " ".join(node.about.replace(f" {graph.jobs[key].subject} ", " ").split()[1:])
        row = rows.setdefault(
            (stage, what), {"stage": stage, "what": what, "outputs": 0, "error": ""}
        )
        row["outputs"] += 1
        if failure := store.failure(node.recipe):
            row["error"] = failure["error"]
    return pd.DataFrame(rows.values(), columns=["stage", "what", "outputs", "error"])


def output_kind(fields: Any) -> tuple[str, str]:
    """What decides how long an output takes: its stage; and the attack, purifier or trainer, on
    which model and machine."""
    params, inputs = fields["params"], fields["inputs"]
    where = f"{inputs.get('arithmetic', '')} {inputs.get('weights', '')}"
    if fields["stage"] == "protect":
        attack = params["attack"]["attack"]  # its settings; "moved" where no attack is made
        named = attack if isinstance(attack, str) else f"{attack['attack']} {_counts(attack)}"
        named = f"a part of {named}" if "clean" in params else named
        return "protect", f"{named} {where} {params['attack'].get('weights', '')}"
    if fields["stage"] == "purify":
        return "purify", f"{params['purifier']} {_counts(params['settings'])} {where}"
    if fields["stage"] == "train":
        return "train", f"{params['trainer']} {params['settings'].get('steps')} {where}"
    return fields["stage"], f"{params.get('probe', params.get('n', ''))} {where}"


def _counts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The whole numbers among settings, such as steps and rounds; those of a seed are no work.

    Of a chain those of its links, in order.
    """
    if "links" in settings:
        return {"links": [_counts(link) for link in settings["links"]]}
    return {
        name: value
        for name, value in settings.items()
        if isinstance(value, int) and not isinstance(value, bool) and name != "seed"
    }


def costs(store: Store) -> dict[tuple[str, str], float]:
    """Median seconds of what is kept, by :func:`output_kind`, and by stage and machine."""
    spent: dict[tuple[str, str], list[float]] = {}
    for entry in store.ls():
        if entry.stage in STAGES:
            try:
                own = output_kind(entry.manifest)
            except (KeyError, TypeError, AttributeError):
                continue  # of an earlier version
            for name in (own, (entry.stage, entry.manifest["inputs"].get("arithmetic", ""))):
                spent.setdefault(name, []).append(entry.seconds)
    return {name: median(each) for name, each in spent.items()}
