"""The question ``adaptive`` in two tables for a notebook: what attackers take, and how visible
they are."""

from __future__ import annotations

import pandas as pd

from ..budget import Budget
from ..experiments.experiment import JOIN
from ..experiments.questions import adaptive
from . import display
from .summary import Summary
from .tables import MARK, Table, number, table_of
from .withstanding import BARE, BLIND, PURIFIED, WHOLE, largest, verdict_of

LEAST = 0.005  # what is not zero at two digits
HARMS = {
    "ims_missing": "harm to the identity match",
    "quality": "harm to quality",
    "apart": "harm in distance",
}
CALLED = {BLIND: "blind", adaptive.EVERYTHING: "knowing, text frozen"}


def harms(measured: Summary) -> Table:
    """What the blind and the knowing attacker take from purifier, and from purifier and CDL.

    The blind one at the largest budget, the knowing one at the usual one and at the largest.
    Bold is what is confirmed and not zero at two digits.
    """
    most = largest(measured)
    rows = [
        {"defence": display.DEFENCES[defence], "attacker": called, "budget": budget}
        | {score: _text(verdict_of(measured, score, defence, budget, who)) for score in HARMS}
        for defence in (PURIFIED, WHOLE)
        for called, who, budget in (
            ("blind", BLIND, most),
            ("knowing", None, adaptive.EPS),
            ("knowing", None, most),
        )
    ]
    columns = {name: name for name in ("defence", "attacker", "budget")} | HARMS
    return table_of(
        pd.DataFrame(rows),
        columns,
        "Harm under each defence",
        note="Bold: confirmed, and not zero at two digits.",
    )


def _text(row: dict[str, float]) -> str:
    text = number(row["mean"], row["low"], row["high"], 2, sign=True)
    sure = row["verdict"] == "confirmed" and abs(row["mean"]) >= LEAST
    return f"{MARK}{text}{MARK}" if sure else text


def visibility(measured: Summary, usual: str) -> Table:
    """PSNR and SSIM of protected photos under the blind and a knowing attacker, by budget.

    Args:
        usual: the budget whose rows matter most, "k/255".
    """
    sizes = measured.wide(["psnr", "ssim"], "instance")
    parts = sizes["condition"].str.split(JOIN, regex=False)
    alone = parts.map(lambda names: len(names) == 3 and names[1] == BARE and names[0] in CALLED)
    sizes, parts = sizes[alone], parts[alone]
    sizes = sizes.assign(attacker=parts.str[0].map(CALLED), budget=parts.str[2])
    sizes = sizes.sort_values("budget", key=lambda texts: texts.map(Budget.parse), kind="stable")
    return table_of(
        sizes,
        {"attacker": "attacker", "budget": "budget", "psnr": "PSNR (dB)", "ssim": "SSIM"},
        "How visible the attacks are",
        marked=sizes["budget"] == usual,
        note="Text frozen: an attacker who expects that, too. How visible the knowing ones of the "
        "table above are was measured behind the purifier alone.",
        digits={"psnr": 1},
    )
