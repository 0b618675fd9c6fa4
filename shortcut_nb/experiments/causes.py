"""The causal graph of the shortcut: its arrows, and the claims behind each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from ..plots import Edge, SavedFigure, causal_graph, save_figure
from . import identifier
from .measured import Measurement
from .predictions import BASE, HOLDS
from .shipped import shipped, verdict
from .summary import summary

NOISE = "perturbation"
TRAINED = "words and prior\nin training"
BOUND = "V* carries\nthe noise"
SHIFTED = "CLIP sees\nnoise"
PURIFIED = "purification"
COLORS = {NOISE: "protected", PURIFIED: "purified"}
VERDICTS = ("confirmed", "undecided", "refuted")
# (cause, effect, the claim that supports the arrow, its score)
ARROWS = (
    (PURIFIED, NOISE, "purification removes the texture", "texture"),
    (NOISE, SHIFTED, "ASPL moves CLIP towards noise", "clip_towards"),
    (NOISE, SHIFTED, "ASPL moves CLIP more than random signs", "clip_towards"),
    (SHIFTED, BOUND, "intervention: texture rises more than by random signs", "texture"),
    (SHIFTED, BOUND, "intervention: quality falls more than by random signs", "quality"),
    (SHIFTED, BOUND, "intervention: identity falls more than by random signs", "ims_missing"),
    (NOISE, BOUND, "more perturbed pictures, more of it", "texture"),
    (NOISE, BOUND, "a shuffled perturbation works too", "texture"),
    (NOISE, BOUND, "another person's perturbation works too", "texture"),
    (NOISE, BOUND, "random noise of the same size does less", "texture"),
    (TRAINED, BOUND, "a telling caption binds less than V*", "texture"),
    (TRAINED, BOUND, "naming the person leaves the noise to V*", "texture"),
    (TRAINED, BOUND, "naming the noise relieves V*", "texture"),
    (TRAINED, BOUND, identifier.SPARED, "texture"),
    (BOUND, "texture", BASE, "texture"),
    (BOUND, "quality", BASE, "quality"),
    (BOUND, "identity", BASE, "ims_missing"),
)


def edges(claims: Sequence[dict]) -> list[Edge]:
    """The arrows from rows of claims: the shortcut's predictions, the story's and H1's.

    A row has ``claim``, ``score`` and what ``report.judge`` says; arrows whose claim is in no row
    are left out.
    """
    rows = {(row["claim"], row["score"]): row for row in claims}
    return [
        Edge(
            cause,
            effect,
            claim,
            score,
            row["difference"],
            row["low"],
            row["high"],
            verdict(row["holds"]),
        )
        for cause, effect, claim, score in ARROWS
        if (row := rows.get((claim, score)))
    ]


def claims_beside(eps: str, folder: Path | None = None) -> list[dict]:
    """Claims at a budget from ``story``, ``mismatch`` and ``identifier``, where they are.

    Args:
        folder: where to look; see :func:`.shipped.shipped`.
    """
    rows: list[dict] = []
    with suppress(FileNotFoundError):
        rows += claims_of(summary("story", folder=folder).verdicts)
    with suppress(FileNotFoundError):
        rows += claims_of(Measurement.read("mismatch", folder=folder).verdicts())
    with suppress(FileNotFoundError):
        rows += identifier.claims(shipped("identifier", folder=folder))
    return [row for row in rows if row["eps"] == eps]


def claims_of(judged: pd.DataFrame) -> list[dict]:
    """Judged contrasts whose names end with the budget, as claims; those not measured left out."""
    rows = []
    for row in judged[judged["verdict"] != "not measured"].to_dict("records"):
        claim, _, eps = row["contrast"].rpartition(", ")
        ends = {"difference": row["mean"], "low": row["low"], "high": row["high"]}
        named = {"claim": claim, "eps": eps, "score": row["metric"]}
        rows.append(named | ends | {"holds": HOLDS[row["verdict"]]})
    return rows


def draw_graph(arrows: Sequence[Edge], eps: str, out: Path | None = None) -> SavedFigure:
    """Draw and save the causal graph as ``shortcut_graph``."""
    counts = {verdict: sum(edge.verdict == verdict for edge in arrows) for verdict in VERDICTS}
    alt = (
        f"Causal graph at {eps}: purification and perturbation above, then CLIP and training, the "
        "shortcut, and texture, quality and identity below; "
        f"{', '.join(f'{count} {verdict}' for verdict, count in counts.items())}."
    )
    return save_figure(
        causal_graph(arrows, COLORS),
        "shortcut_graph",
        folder=out,
        data=pd.DataFrame(arrows),
        alt=alt,
    )
