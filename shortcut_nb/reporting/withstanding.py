"""The question ``adaptive`` for readers: curves over the budget, and what the finding says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from ..budget import Budget
from ..experiments.experiment import JOIN
from ..experiments.questions import adaptive
from . import display
from .argument import Answer, Values
from .numbers import ENDS, mean_low_high
from .summary import Summary, summary

BLIND = adaptive.NOTHING
BARE, PURIFIED, WHOLE = "none", "purifier", "both"
DEFENCES = {defence: display.DEFENCES[defence] for defence in (BARE, PURIFIED, WHOLE)}
# A score and whether the attacker knows the defence, and the panel that shows them.
PANELS = {
    ("quality", False): "quality, attacker\nknows nothing",
    ("quality", True): "quality, attacker\nknows the defence",
    ("ims_missing", False): "identity match, attacker\nknows nothing",
    ("ims_missing", True): "identity match, attacker\nknows the defence",
}
CLEAN = "0/255"
PLAIN = 32  # grey levels at which a change is plain to see (19 dB, SSIM about 0.5)
# Of quality or the identity match: what is worth saying. Set when, with eight people, a fall of
# quality by 0.003 was beyond chance and made the defence "broken".
DEAR = 0.05
LEAST = {"quality": DEAR, "ims_missing": DEAR}
LOSSES = {
    "quality": "quality falls by {:.2f}",
    "ims_missing": "the identity match falls by {:.2f}",
    "apart": "the distance to samples of clean training grows by {:.2f}",
    "coarse_texture": "blotches come, {:.1f} grey levels of coarse texture",
}
"""What an attacker may take, by score, as a part of a list."""


def measurement() -> Summary:
    """The shipped measurement."""
    return summary("adaptive")


def budgets(measured: Summary | None = None) -> pd.DataFrame:
    """A score against the budget: ``panel, defence, pixels, mean, low, high``; clean at 0.

    Without a defence there is nothing to know: both attackers are the one who knows nothing. Who
    expects a defence that is not used attacks something else, and is not here.

    Args:
        measured: None is the shipped one of the miniature.
    """
    measured = measured or measurement()
    rows = []
    for (score, knows), panel in PANELS.items():
        means = mean_low_high(measured.wide([score], "instance"), score)
        means = means.set_index("condition")[ENDS]
        for budget in (CLEAN, *adaptive.BUDGETS):
            for defence, named in DEFENCES.items():
                informed = knows and defence != BARE
                attacker = informed_attacker(measured, defence) if informed else BLIND
                cell = adaptive.name(("clean" if budget == CLEAN else attacker, defence, budget))
                if cell in means.index:
                    place = (panel, named, Budget.parse(budget).pixels)
                    rows.append((*place, *means.loc[cell]))
    return pd.DataFrame(rows, columns=["panel", "defence", "pixels", *ENDS])


def verdict_of(
    measured: Summary,
    score: str,
    defence: str,
    budget: str,
    attacker: str | None = None,
    asked: str = "",
) -> dict[str, Any]:
    """The change against clean training under the same defence, judged.

    Args:
        attacker: None is the one who knows the defence.
        asked: in which words samples were asked for, if not in the defence's own.
    """
    word, _ = adaptive.SCORES[score]
    attacker = attacker or informed_attacker(measured, defence)
    where = filter(None, (budget, asked))
    return measured.verdict(adaptive.harm_to(attacker, defence, word, *where))


def gain_from_knowing(measured: Summary, score: str, defence: str, budget: str) -> dict[str, Any]:
    """What the knowing attacker takes beyond the blind one, judged."""
    word, _ = adaptive.SCORES[score]
    attacker = informed_attacker(measured, defence)
    return measured.verdict(adaptive.gain(attacker, defence, word, budget))


def informed_attacker(measured: Summary, defence: str) -> str:
    """The attacker who knows a defence as it is, of those that met it."""
    cells = (cell.split(JOIN) for cell in set(measured.means["condition"]))
    return adaptive.informed(defence, {who for who, against, *_ in cells if against == defence})


def withstanding_finding() -> tuple[Answer, Values]:
    """Does the whole defence withstand an attacker who knows it?

    "no" if it loses quality at the usual budget, "partly" if it loses anything of :data:`LOSSES`
    there or at the largest that was measured, "yes" if nothing shows; "open" if an attacker of
    these was not measured. A loss is beyond chance and at least :data:`LEAST`.
    """
    measured = measurement()
    usual, most = adaptive.EPS, largest(measured)
    asked = [(PURIFIED, most, BLIND), (PURIFIED, most), (WHOLE, most), (WHOLE, usual)]
    rows = [verdict_of(measured, "quality", *one) for one in asked]
    blind, purified, whole, _ = (max(0.0, -row["mean"]) for row in rows)
    here = list_text(loss_texts(measured, WHOLE, usual))
    there = list_text(loss_texts(measured, WHOLE, most)) if most != usual else ""
    means = measured.wide(["ims_missing"], "instance").set_index("condition")["ims_missing"]
    alike, alike_whole = (
        means[adaptive.name(("clean", defence, CLEAN))] for defence in (BARE, WHOLE)
    )
    answer: Answer = "yes"
    if any(row["verdict"] == "not measured" for row in rows):
        answer = "open"
    elif is_lost(rows[-1], "quality"):
        answer = "no"
    elif here or there:
        answer = "partly"
    pixels = int(Budget.parse(most).pixels)
    likeness = verdict_of(measured, "ims_missing", WHOLE, most)
    purified_likeness = verdict_of(measured, "ims_missing", PURIFIED, most)
    return answer, {
        "blind": blind,
        "purified": purified,
        "whole": whole,
        "pixels": pixels,
        "usual": int(Budget.parse(usual).pixels),
        "plain_to_see": ", which anyone can see" if pixels >= PLAIN else "",
        "takes": loss_title(rows[2], likeness),
        "here": here,
        "there": there,
        "alike_purified": max(0.0, -purified_likeness["mean"]),
        "alike_lost": abs(likeness["mean"]) if is_lost(likeness, "ims_missing") else 0.0,
        **likeness_values(measured, most),
        "dear": alike_whole < alike - DEAR,
        "alike": alike,
        "alike_whole": alike_whole,
    }


def likeness_values(measured: Summary, budget: str) -> Values:
    """Values for the finding: whether likeness is lost because the attacker knows the defence.

    Returns:
        Where likeness is lost: ``unclear``, whether what the knowledge adds may be chance;
        ``blind_alike``, what a blind attacker takes, and ``blind_chance``, that this may be chance.
        ``unsure``: whether the fall may be chance where the person is asked for by the name alone;
        there ``named_alike`` is lost, and ``named_apart`` of distance.
    """
    gone = is_lost(verdict_of(measured, "ims_missing", WHOLE, budget), "ims_missing")
    gained = gain_from_knowing(measured, "ims_missing", WHOLE, budget)
    blind = verdict_of(measured, "ims_missing", WHOLE, budget, BLIND)
    named, apart = (
        verdict_of(measured, score, WHOLE, budget, asked=adaptive.BY_NAME)
        for score in ("ims_missing", "apart")
    )
    return {
        "unclear": gone and gained["verdict"] == "undecided",
        "blind_alike": max(0.0, -blind["mean"]),
        "blind_chance": ", which may be chance" if blind["verdict"] == "undecided" else "",
        "unsure": gone and named["verdict"] == "undecided" and is_lost(apart, "apart"),
        "named_alike": max(0.0, -named["mean"]),
        "named_apart": apart["mean"],
    }


def loss_title(quality: dict[str, Any], likeness: dict[str, Any]) -> str:
    """What is lost of quality and likeness at the largest budget, for a title."""
    gone = [is_lost(quality, "quality"), is_lost(likeness, "ims_missing")]
    names = {
        (True, True): "quality and likeness",
        (True, False): "quality, but not likeness",
        (False, True): "likeness, but hardly any quality",
        (False, False): "neither quality nor likeness",
    }
    return names[gone[0], gone[1]]


def largest(measured: Summary) -> str:
    """The largest budget at which the whole defence met the knowing attacker."""
    return max(measured_budgets(measured), key=adaptive.BUDGETS.index, default=adaptive.EPS)


def is_lost(row: dict[str, Any], score: str) -> bool:
    """Whether a verdict on a score says that it is lost: beyond chance, and worth saying."""
    return row["verdict"] == "confirmed" and abs(row["mean"]) >= LEAST.get(score, 0.0)


def loss_texts(measured: Summary, defence: str, budget: str) -> Iterator[str]:
    """Each loss (:data:`LOSSES`) that the knowing attacker causes to a defence, in words."""
    for score, text in LOSSES.items():
        row = verdict_of(measured, score, defence, budget)
        if is_lost(row, score):
            yield text.format(abs(row["mean"]))


def list_text(parts: Iterable[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    *first, last = [*parts] or [""]
    return " and ".join(filter(None, (", ".join(first), last)))


def measured_budgets(measured: Summary) -> list[str]:
    """The budgets at which the whole defence met the knowing attacker, from the smallest."""
    conditions = set(measured.means["condition"])
    attacker = informed_attacker(measured, WHOLE)
    return [eps for eps in adaptive.BUDGETS if adaptive.name((attacker, WHOLE, eps)) in conditions]


def plain(contrast: str) -> str:
    """The name of one of the question's contrasts, as it is read: "blind, purifier + CDL, 16/255:
    harm to quality"; who knows the defence as it is is called knowing.
    """
    match = re.fullmatch(r"knows (.+), defence (.+), (\d+/\d+.*)", contrast)
    if match is None:
        return contrast
    who, defence, rest = match.groups()
    knows = who in adaptive.INFORMED.get(defence, ())
    called = "blind" if who == BLIND else "knowing" if knows else f"knows {who}"
    return f"{called}, {display.DEFENCES.get(defence, defence)}, {rest}"


def further_attackers(measured: Summary) -> pd.DataFrame:
    """Attackers of other purifiers, and those of whose set a part stays clean.

    Returns:
        A row each: ``who``, ``defence`` and ``where``, as the question names them.
    """
    rows = []
    others = {*adaptive.OTHERS, adaptive.PAPERS_WHOLE}
    for cell in dict.fromkeys(measured.means["condition"]):
        who, defence, *where = cell.split(JOIN)
        if who != "clean" and (len(where) > 1 or defence in others):
            rows.append((who, defence, where))
    return pd.DataFrame(rows, columns=["who", "defence", "where"])
