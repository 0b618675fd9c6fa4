"""The causal graph of the shortcut: its arrows, and the claims behind each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from ..experiments.questions import intervention
from ..experiments.questions.intervention import MOVED, SEEN, beyond_noise
from ..experiments.questions.shortcut import BASE
from ..plots import Edge, SavedFigure, causal_graph, save_figure
from ..plots.causal_graph import SCORED
from .shipped import shipped
from .summary import summary
from .tables import short_label, spoken, table_of

NOISE = "perturbation"
NAMING = "naming\nthe noise"
PRIOR = "prior\npreservation"
PERSON = "telling about\nthe person"
BOUND = "V* carries\nthe noise"
SHIFTED = "the model\nsees noise"
COLORS = {NOISE: "protected"}
ATTACKS = f"Arrows from “{SHIFTED}” were tested by {SEEN}, all others by ASPL".replace("\n", " ")
# (cause, effect, the claim that supports the arrow, its score)
ARROWS = (
    (NOISE, SHIFTED, MOVED, "decoded_towards"),
    (SHIFTED, BOUND, beyond_noise(SEEN, "texture"), "texture"),
    (SHIFTED, "quality", beyond_noise(SEEN, "quality"), "quality"),
    (SHIFTED, "identity", beyond_noise(SEEN, "ims_missing"), "ims_missing"),
    (NOISE, BOUND, "more perturbed pictures, more of it", "texture"),
    (NOISE, BOUND, "a shuffled perturbation works too", "texture"),
    (NOISE, BOUND, "another person's perturbation works too", "texture"),
    (NOISE, BOUND, "random noise of the same size does less", "texture"),
    (NAMING, BOUND, "naming the noise relieves V*", "texture"),
    (PRIOR, BOUND, "without prior preservation V* is set apart less", "texture"),
    (PERSON, BOUND, "a telling caption binds less than V*", "texture"),
    (PERSON, BOUND, "naming the person leaves the noise to V*", "texture"),
    (BOUND, "quality", BASE, "quality"),
    (BOUND, "identity", BASE, "ims_missing"),
)


def edges(claims: Sequence[dict[str, Any]]) -> list[Edge]:
    """The arrows from rows of claims; those whose claim is in no row are left out.

    A row has ``claim, score, difference, low, high, verdict``.
    """
    rows = {(row["claim"], row["score"]): row for row in claims}
    ends = ("difference", "low", "high", "verdict")
    return [
        Edge(cause, effect, claim, score, **{end: row[end] for end in ends})
        for cause, effect, claim, score in ARROWS
        if (row := rows.get((claim, score)))
    ]


def arrows_table() -> str:
    """What stands behind each arrow, in Markdown, from the shipped results."""
    predicted = shipped("shortcut")
    rows = [
        {
            "arrow": f"{each.cause} → {each.effect}".replace("\n", " ").replace("V*", "V\\*"),
            "claim": spoken(each.claim, each.score).replace("V*", "V\\*"),
            "score": short_label(each.score),
            "verdict": each.verdict,
        }
        for each in edges([*predicted["predictions"], *claims_beside(predicted["eps"])])
    ]
    columns = {"arrow": "arrow", "claim": "prediction", "score": "by", "verdict": "outcome"}
    return table_of(pd.DataFrame(rows), columns).markdown()


def claims_beside(eps: str, folder: Path | None = None) -> list[dict[str, Any]]:
    """Claims at a budget from ``intervention``, where it is.

    Args:
        folder: where to look; see :func:`.shipped.shipped`.
    """
    rows: list[dict[str, Any]] = []
    with suppress(FileNotFoundError):
        rows += claims_of(summary("intervention", folder=folder).verdicts, intervention.EPS)
    return [row for row in rows if row["eps"] == eps]


def claims_of(judged: pd.DataFrame, eps: str | None = None) -> list[dict[str, Any]]:
    """Judged contrasts as claims; those not measured left out.

    Args:
        eps: the budget of all; None says that their names end with it.
    """
    own = judged[judged["verdict"] != "not measured"]
    split = own["contrast"].str.rpartition(", ")
    claim, budget = (split[0], split[2]) if eps is None else (own["contrast"], eps)
    named = {"claim": claim, "eps": budget, "score": own["metric"], "difference": own["mean"]}
    return own.assign(**named).to_dict("records")


def draw_graph(arrows: Sequence[Edge], eps: str, out: Path | None = None) -> SavedFigure:
    """Draw and save the causal graph as ``shortcut_graph``."""
    verdicts = [edge.verdict for edge in arrows]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in SCORED)
    alt = (
        f"Causal graph at {eps}: the perturbation, what the model sees of it, naming the noise, "
        "prior preservation and telling about the person act on whether V* carries the noise; "
        f"below it quality and identity; {counts}."
    )
    data = pd.DataFrame(arrows)
    return save_figure(causal_graph(arrows, COLORS, ATTACKS), "shortcut_graph", alt, data, out)
