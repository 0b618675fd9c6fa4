"""The question ``adaptive`` for readers: curves over the budget, and what the finding says."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ..budget import Budget
from ..experiments.questions import adaptive
from .argument import Values, Verdict
from .summary import Summary, summary

BLIND, KNOWING = adaptive.SWEPT
BARE, PURIFIED, WHOLE = adaptive.SWEPT_AGAINST
DEFENCES = {
    BARE: "no defence",
    PURIFIED: "purified",
    WHOLE: "purified + CDL, words held",
}
# A score and the attacker, and the panel that shows them.
PANELS = {
    ("quality", BLIND): "quality, attacker\nknows nothing",
    ("quality", KNOWING): "quality, attacker\nknows everything",
    ("ims_missing", KNOWING): "identity match, attacker\nknows everything",
}
CLEAN = "0/255"
PLAIN = 32  # grey levels at which a change is plain to see (19 dB, SSIM about 0.5)
DEAR = 0.05  # of the identity match: a price worth saying
LOSSES = {
    "quality": "quality falls by {:.2f}",
    "ims_missing": "the identity match falls by {:.2f}",
    "coarse_texture": "samples show blotches, {:.1f} grey levels of coarse texture",
}
"""What an attacker may take, by score, as the end of a sentence."""


def kept() -> Summary:
    """The shipped measurement."""
    return summary("adaptive")


def budgets(measured: Summary | None = None) -> pd.DataFrame:
    """A score against the budget: ``panel, defence, pixels, mean, low, high``; clean at 0.

    Args:
        measured: None is the shipped one of the miniature.
    """
    measured = measured or kept()
    rows = []
    for (score, who), panel in PANELS.items():
        means = measured.wide([score], "instance").set_index("condition")
        for budget in (CLEAN, *adaptive.BUDGETS):
            for defence, named in DEFENCES.items():
                cell = adaptive.name(("clean" if budget == CLEAN else who, defence, budget))
                if cell in means.index:
                    own = means.loc[cell]
                    ends = {"mean": own[score], "low": own[f"{score}_low"]}
                    ends |= {"high": own[f"{score}_high"]}
                    place = {"panel": panel, "defence": named}
                    rows.append(place | {"pixels": Budget.parse(budget).pixels} | ends)
    return pd.DataFrame(rows)


def harm(score: str, defence: str, budget: str, who: str = KNOWING) -> pd.Series:
    """The change against clean training under the same defence, judged."""
    word, _ = (adaptive.HARMS | adaptive.INTACT)[score]
    named = adaptive.harm(who, defence, word, budget)
    return kept().verdicts.set_index("contrast").loc[named]


def withstanding() -> tuple[Verdict, Values]:
    """Does the whole defence withstand an attacker who knows it?

    "no" if it loses quality at the usual budget, "partly" if it loses anything of :data:`LOSSES`
    there or at the largest that was measured, "yes" if nothing shows; "open" if an attacker of
    these was not measured.
    """
    usual, most = adaptive.EPS, largest()
    asked = [(PURIFIED, most, BLIND), (PURIFIED, most, KNOWING), (WHOLE, most, KNOWING)]
    rows = [harm("quality", *one) for one in [*asked, (WHOLE, usual, KNOWING)]]
    unmeasured = any(row["verdict"] == "not measured" for row in rows)
    blind, purified, whole, _ = (max(0.0, -row["mean"]) for row in rows)
    here = " and ".join(losses(WHOLE, usual))
    there = " and ".join(losses(WHOLE, most)) if most != usual else ""
    alike = kept().wide(["ims_missing"], "instance").set_index("condition")["ims_missing"]
    price = [alike[adaptive.name(("clean", defence, CLEAN))] for defence in (BARE, WHOLE)]
    verdict: Verdict = "partly" if here or there else "yes"
    if unmeasured or rows[-1]["verdict"] == "confirmed":
        verdict = "open" if unmeasured else "no"
    pixels = int(Budget.parse(most).pixels)
    return verdict, {
        "blind": blind,
        "purified": purified,
        "whole": whole,
        "pixels": pixels,
        "plain_to_see": ", which anyone can see" if pixels >= PLAIN else "",
        "here": here,
        "there": there,
        "dear": price[1] < price[0] - DEAR,
        "alike": price[0],
        "alike_whole": price[1],
    }


def largest(measured: Summary | None = None) -> str:
    """The largest budget at which the whole defence met the knowing attacker."""
    start = f"{KNOWING} | {WHOLE} | "
    conditions = (measured or kept()).means["condition"].unique()
    met = [name.removeprefix(start) for name in conditions if name.startswith(start)]
    whole = [budget for budget in met if " | " not in budget]
    return max(whole, key=lambda eps: Budget.parse(eps).pixels, default=adaptive.EPS)


def losses(defence: str, budget: str) -> Iterator[str]:
    """What the knowing attacker takes from a defence, beyond chance, as ends of a sentence."""
    for score, text in LOSSES.items():
        row = harm(score, defence, budget)
        if row["verdict"] == "confirmed":
            yield text.format(abs(row["mean"]))
