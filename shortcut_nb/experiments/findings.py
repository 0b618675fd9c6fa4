"""Six findings in plain words, each with one number and one picture, from the shipped results.

What a sentence says follows from the numbers: every finding has words for the case that the
result holds, that it is open, and that it goes the other way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from . import numbers, rates
from .figures import ALT
from .numbers import ATTACK, CONTROL
from .summary import summary

Verdict = Literal["yes", "partly", "open", "no"]
SAYS: dict[Verdict, str] = {
    "yes": "As the paper says.",
    "partly": "Partly as the paper says.",
    "open": "Open in the miniature.",
    "no": "Not as the paper says.",
}
MAIN = "aspl"
SHIFTER = "clip-shift"
SEEN = "decoded-shift"  # climbs the shift of what the model sees, after the autoencoder
STUBBORN = "photoguard"
OPEN_LIKENESS = "Whether the person is drawn less alike stays open."
PLAIN = 32  # grey levels at which a change is plain to see (19 dB, SSIM about 0.5)


@dataclass(frozen=True)
class Finding:
    """What was found, for a reader in a hurry.

    Attributes:
        title: a few words.
        number: the one to remember, as text.
        text: what it says, in a sentence or two without statistics.
        verdict: whether the paper's claim holds in the miniature.
        figure: a name of :data:`.figures.FIGURES`.
        anchor: the section of ``docs/results.md`` with intervals and how it was measured.
    """

    title: str
    number: str
    text: str
    verdict: Verdict
    figure: str
    anchor: str


def protection() -> Finding:
    table = numbers.attacks().set_index("name")
    own, noise = table.loc[MAIN], table[table["group"] == CONTROL]
    attacks = table[table["group"] == ATTACK]
    beating = int((attacks["beats_noise"] == True).sum())  # noqa: E712 (None is not False)
    worst = noise["quality"].min()
    harmed = own["low"] > 0 and bool(own["beats_noise"])
    text = (
        f"A model that learns a person from photos protected by ASPL draws them at a quality of "
        f"{own['quality']:.2f} on a scale to 1, from the clean photos at {own['clean']:.2f}, and "
        f"from photos with as much random noise at {worst:.2f}. "
        f"{beating} of {len(attacks)} attacks harm more than noise does in one measure at least. "
        f"{'The person is drawn less alike, too.' if own['alike_high'] < 0 else OPEN_LIKENESS}"
    )
    return Finding(
        "Protection harms what a model learns" if harmed else "Whether protection harms is open",
        f"{own['clean']:.2f} → {own['quality']:.2f}",
        text,
        "yes" if harmed else "no" if own["high"] < 0 else "open",
        "results_protection",
        "every-attack-at-one-budget",
    )


def mismatch() -> Finding:
    table = numbers.attacks().set_index("name")
    own, main = table.loc[SHIFTER], table.loc[MAIN]
    noise = table[table["group"] == CONTROL].sort_values("shift").iloc[-1]
    times = own["shift"] / main["shift"]
    further = noise["shift"] > main["shift"]
    causes = bool(own["beats_noise"])
    text = (
        f"The paper blames a shift in meaning: to CLIP, protected photos look less like a person "
        f"and more like noise. Random noise moves CLIP {noise['shift'] / main['shift']:.1f} times "
        f"as far as ASPL does and takes {noise['fall']:.2f} of quality, where ASPL takes "
        f"{main['fall']:.2f}. An attack built to make this shift and nothing else moves CLIP "
        f"{times:.1f} times as far as ASPL, and takes {own['fall']:.2f}"
        f"{', more than noise does' if causes else ''}. {_seen(table)}"
    )
    fair = SEEN in table.index
    harms = causes or (fair and bool(table.loc[SEEN, "beats_noise"]))
    verdict: Verdict = "no" if fair and further else "open"
    if harms:
        verdict = "open" if further else "yes"
    titles: dict[Verdict, str] = {
        "yes": "A shift in meaning harms",
        "open": "Whether a shift in meaning does the harm is open",
        "no": "A shift in meaning alone explains no harm",
    }
    return Finding(
        titles[verdict],
        f"{times:.1f} × the shift, {own['fall']:.2f} lost",
        text,
        verdict,
        "results_mismatch",
        "does-the-shift-explain-the-harm",
    )


def _seen(table: pd.DataFrame) -> str:
    """What the shift does that gets through the autoencoder, which is all that the model sees."""
    if SEEN not in table.index:
        return (
            "But this was no fair test. The model sees photos through its autoencoder, which takes "
            "nearly all of these two shifts away, and less of ASPL's (seen on one person, in "
            "[notebook 04](notebooks/04_latent_mismatch.ipynb)). An attack on the shift that gets "
            "through is not measured yet."
        )
    row = table.loc[SEEN]
    more = "more than" if row["beats_noise"] else "no more than"
    return (
        f"An attack on the shift that gets through the autoencoder, which is what the model sees, "
        f"takes {row['fall']:.2f}, {more} noise does."
    )


def shortcut() -> Finding:
    rise = numbers.harms_by_word().set_index(["name", "group"])
    word, rest = rise.loc[(MAIN, "V*"), "mean"], rise.loc[(MAIN, "class"), "mean"]
    gap = rise.loc[(MAIN, "V* − class")]
    free = numbers.without_prior().set_index(["name", "group"])["mean"]
    alone, shared = free[MAIN, "V*"], free[MAIN, "class"]
    text = (
        f"After ASPL, pictures of the learned person carry {word:.1f} grey levels more texture, "
        f"pictures of persons in general {rest:.1f}. This depends on prior preservation, which "
        f"shows the model other persons meanwhile: without it the rises are {alone:.1f} and "
        f"{shared:.1f}."
    )
    verdict = _verdict(gap["low"], gap["high"])
    titles: dict[Verdict, str] = {
        "yes": "The damage goes to the person's name more than to the class",
        "open": "Whether the damage goes to the person's name is open",
        "no": "The damage goes to the class more than to the person's name",
    }
    return Finding(
        titles[verdict],
        f"{word:.1f} against {rest:.1f}",
        text,
        verdict,
        "results_shortcut",
        "is-it-a-shortcut",
    )


def purification() -> Finding:
    table = numbers.purifiers().set_index(["attack", "name"])
    best = table.drop("none", level="name").groupby("name")["mean"].mean().idxmax()
    after = table.xs(best, level="name")
    undone = after.index[after["high"] >= 0]
    at, other = table.loc[MAIN], table.loc[STUBBORN]
    lost, back = -at.loc["none", "mean"], at.loc[best, "restored"]
    place = _place(table, "codesr")
    text = (
        f"Photos protected by ASPL give back {back:.2f} of the {lost:.2f} of quality that they "
        f"took when they are cleaned by the best of {len(at) - 1} purifiers, `{best}`. After it, "
        f"no loss shows under {len(undone)} of {len(after)} attacks. Under PhotoGuard the best "
        f"purifier gives back {other.drop('none')['restored'].max():.2f} of "
        f"{-other.loc['none', 'mean']:.2f}. The paper's own, CodeSR, comes in at number {place}: "
        f"its small upscaler draws much of the face anew, and likeness to the clean photos falls "
        f"from {at.loc['none', 'likeness']:.2f} to {at.loc['codesr', 'likeness']:.2f}."
    )
    if len(summary("purification").seeds) == 1:
        text += " Each person was trained on only once."
    verdict: Verdict = "no" if not len(undone) else "yes" if place == 1 else "partly"
    return Finding(
        f"Purifying undoes {len(undone)} of {len(after)} attacks",
        f"{back:.2f} of {lost:.2f} back",
        text,
        verdict,
        "results_purification",
        "purifiers",
    )


def decoupling() -> Finding:
    table = numbers.pieces()
    own = table[table["group"] == "protected photos"].set_index("name")
    plain, cdl = own.loc["DreamBooth"], own.loc["CDL"]
    whole, drawing = own.loc["+ CDL's words when training"], own.loc["+ CDL's words when sampling"]
    control = own.loc["DreamBooth, frozen text encoder"]
    raised, alone = whole["verdict"] == "confirmed", cdl["verdict"] == "confirmed"
    mostly = drawing["mean"] - control["mean"] > (whole["mean"] - control["mean"]) / 2
    text = (
        f"Contrastive decoupling (CDL) gives the noise a name while training and negates it when "
        f"drawing. With the text encoder trained{_pace()}, quality on protected photos goes from "
        f"{plain['mean']:.2f} to {cdl['mean']:.2f}{'' if alone else ', which may be chance'}. With "
        f"the text encoder frozen, so that words keep their meaning, it goes from "
        f"{control['mean']:.2f} to {whole['mean']:.2f}, without any purifier."
    )
    if mostly:
        text += (
            f" Most of it comes from the words when drawing: {drawing['mean']:.2f} by them alone."
        )
    verdict: Verdict = "yes" if alone else "partly" if raised else "open"
    title = "Naming the noise works"
    if raised and not alone:
        title = "Naming the noise works once words keep their meaning"
    elif not raised and not alone:
        title = "Whether naming the noise works is open"
    return Finding(
        title,
        f"{control['mean']:.2f} → {whole['mean']:.2f}",
        text,
        verdict,
        "results_decoupling",
        "decoupling-with-its-words-held",
    )


def _pace() -> str:
    """How far the miniature trains its text encoder, where that is further than the paper does."""
    _, text = rates.against_rule()
    return f" ({text:.0f} times as far as in the paper)" if text > 1 + rates.NEAR else ""


def withstanding() -> Finding:
    table = numbers.budgets().set_index(["attacker", "defence", "pixels"])
    who, (bare, _, whole) = numbers.ATTACKERS["everything"], numbers.DEFENCES.values()
    most = int(table.index.get_level_values("pixels").max())
    lost, kept = table.loc[who, bare, most], table.loc[who, whole, most]
    withstands = kept["verdict"] != "confirmed"
    text = (
        f"An attacker who knows the whole defence and may change every pixel by {most} of 255 grey "
        f"levels{', which anyone can see,' if most >= PLAIN else ''} takes {-lost['harm']:.2f} of "
        f"quality from somebody who does nothing. From somebody who purifies and names the noise, "
        f"words held, {'none' if withstands else format(-kept['harm'], '.2f')}"
    )
    losses = _losses(who, whole, most)
    text += f"; but {' and '.join(losses)}." if losses else "."
    text += " Every attacker that was tried is of ASPL's kind."
    return Finding(
        "In quality, the whole defence withstands an attacker who knows it"
        if withstands
        else "An attacker who knows the defence breaks it",
        f"{-lost['harm']:.2f} lost without, {max(0.0, -kept['harm']):.2f} with",
        text,
        "no" if not withstands else "partly" if losses else "yes",
        "results_budgets",
        "attackers-who-know-the-defence",
    )


def _losses(who: str, defence: str, pixels: int) -> list[str]:
    """What an attacker takes that is no quality, as the ends of a sentence."""
    words = {
        "ims_missing": "likeness to the person falls by {:.2f}",
        "coarse_texture": "samples show blotches, {:.1f} grey levels of coarse texture",
    }
    losses = []
    for score, text in words.items():
        table = numbers.budgets(score).set_index(["attacker", "defence", "pixels"])
        row = table.loc[who, defence, pixels]
        if row["verdict"] == "confirmed":
            losses.append(text.format(abs(row["harm"])))
    return losses


def _verdict(low: float, high: float) -> Verdict:
    """Of a claim that a difference is positive."""
    return "yes" if low > 0 else "no" if high < 0 else "open"


def _place(table: pd.DataFrame, name: str) -> int:
    """Where a purifier stands among the others in quality, over all attacks; 1 is the best."""
    means = table.drop("none", level="name").groupby("name")["mean"].mean()
    return int(means.rank(ascending=False)[name])


FINDINGS: tuple[Callable[[], Finding], ...] = (
    protection,
    mismatch,
    shortcut,
    purification,
    decoupling,
    withstanding,
)
"""What works out each finding, in the order of the argument."""


def findings() -> list[Finding]:
    """All six, from the shipped results."""
    return [each() for each in FINDINGS]


def block(finding: Finding, number: int) -> str:
    """A finding in Markdown, for a page at the root of the repository."""
    return (
        f"### {number}. {finding.title}: {finding.number}\n\n"
        f"*{SAYS[finding.verdict]}* {finding.text} [Intervals, and how it was measured]"
        f"(docs/results.md#{finding.anchor}).\n\n"
        f"![{ALT[finding.figure]}](figures/{finding.figure}.png)"
    )


def readme() -> str:
    """The section of the README between its marks."""
    return "\n\n".join(block(finding, i) for i, finding in enumerate(findings(), 1))
