"""What each piece of contrastive decoupling adds on protected pictures, in plain words."""

from __future__ import annotations

import re

import pandas as pd

from ..experiments.means import ends_of
from ..experiments.questions.words import contrast_name
from .summary import Summary

# A row of the table, and the piece as the question ``words`` calls it.
ROWS = {
    "CDL": "CDL",
    "… its words when sampling, alone": "CDL's words when sampling, text trained",
    "… its words when training, alone": "CDL's words when training, text trained",
    "… its words when sampling, once those of training are there": (
        "CDL's words when sampling, over those of training"
    ),
    "freezing the text encoder": "freezing the text encoder",
    "CDL, text encoder frozen": "held CDL",
    "… then a noise prior": "a noise prior",
}
SCORES = ("quality", "texture", "identity")
# Contrasts of ``words`` whose names do not say how the text encoder was trained.
_PLAIN = (
    (r"^(CDL's words when (?:sampling|training)):", r"\1, text frozen:"),
    (r"^held CDL with a noise prior", "CDL with a noise prior, text frozen"),
    (r"^held CDL", "CDL, text frozen"),
    (r"^V_N\* named \(cdl\)", "V_N* named, CDL"),
    (r"^V_N\* named \(cdl, frozen\)", "V_N* named, CDL, text frozen"),
)


def pieces(larger: Summary) -> pd.DataFrame:
    """A row per piece, with its difference on protected pictures in each score.

    Args:
        larger: the question ``words``.

    Returns:
        ``piece``; and for each of :data:`SCORES` "x", "x_low", "x_high" and "x_verdict".
    """
    table = pd.DataFrame({"piece": list(ROWS)})
    for score in SCORES:
        rows = [larger.verdict(contrast_name(piece, score)) for piece in ROWS.values()]
        columns = ends_of(score) | {"verdict": f"{score}_verdict"}
        for end, column in columns.items():
            table[column] = [row[end] for row in rows]
    return table


def plain(contrast: str) -> str:
    """The name of one of the question's contrasts, as it is read beside the table."""
    for pattern, words in _PLAIN:
        contrast = re.sub(pattern, words, contrast)
    return contrast
