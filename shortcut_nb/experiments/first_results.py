"""Results of the first miniature in today's form: they were written before results kept frames.

They go with the last of them; see :mod:`.measured` for what is written now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from .contrasts import COLUMNS
from .measured import Measurement
from .shipped import verdict

CLASS = {"class_likeness": "ims_missing", "class_quality": "quality", "class_moved": "moved"}
LEARNED = {
    "learned": "learns the person",
    "later": "goes on learning",
    "ahead": "learns more than DreamBooth",
}
PRIOR = {
    "class_likeness": "prior preservation keeps the class another",
    "class_quality": "prior preservation keeps the class good",
}


def story(content: Mapping[str, Any]) -> pd.DataFrame:
    """Its claims, as :func:`.contrasts.judge` returns them."""
    rows = content["claims"]
    return _judged(_row(f"{row['claim']}, {row['eps']}", row["score"], row) for row in rows)


def methods(content: Mapping[str, Any]) -> pd.DataFrame:
    """What each method learned, and what prior preservation did, as ``judge`` returns them."""
    rows = []
    for row in content["methods"]:
        for name, words in LEARNED.items():
            if row.get(name) is not None:
                own = {end: row[f"{name}_{end}"] for end in ("low", "high", "holds", "weakest")}
                own |= {"difference": row[name], "n": row["n"]}
                rows.append(_row(f"{row['method']} {words}", "ims_missing", own))
    for row in content["prior"]:
        if row["share"] == 1 and row["score"] in PRIOR:
            ends = ("low", "high", "holds", "weakest")
            own = row | {end: row[f"difference_{end}"] for end in ends}
            rows.append(_row(PRIOR[row["score"]], CLASS[row["score"]], own, "class"))
    return _judged(rows)


def curves(content: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Means by method and dose ("curves": share of steps; "pictures"), a row per score."""
    means = pd.DataFrame(content[name])
    own = means["score"].isin(CLASS)
    means["score"] = means["score"].replace(CLASS) + own.map({True: ", class", False: ""})
    return means


def strength(content: Mapping[str, Any], contrasts: Iterable[Any] = ()) -> Measurement:
    """Its points as a measurement; times and memory are of the attack, not of a person."""
    costs = [name for name in ("attack_seconds", "memory_mib") if name in content["attacks"][0]]
    attacks = pd.DataFrame(content["attacks"]).set_index("attack")[costs]
    points = pd.DataFrame(content["points"]).join(attacks, on="condition")
    about = {"samples": content["samples"], "contrasts": tuple(contrasts)}
    return Measurement.of("strength", points, **about)


def _row(name: str, metric: str, row: Mapping[str, Any], sheet: str = "instance") -> dict:
    outcome = verdict(row["holds"])
    return dict.fromkeys(COLUMNS) | {
        "contrast": name,
        "metric": metric,
        "sheet": sheet,
        "role": "exploratory",
        "interval": "t",
        "mean": row["difference"],
        "low": row["low"],
        "high": row["high"],
        "n": row.get("subjects", row.get("n")),
        "weakest": row["weakest"],
        "verdict": outcome,
    }


def _judged(rows: Iterable[dict]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)
