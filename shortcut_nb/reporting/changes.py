"""What changed from the first miniature to this one: claim, then, now, why.

The findings of then are kept beside the results, as they were.
"""

from __future__ import annotations

from typing import Any

from ..results import PACKAGE, read_result
from .findings import ANSWER_LABELS, Finding, findings

FOLDER = PACKAGE / "then"
NAME = "findings"
WHY: dict[str, str] = {
    "protection": "Better models and other rates: clean training reaches 0.97, and ASPL takes more "
    "than it did. Now of twelve people.",
    "mismatch": "The fair test is made: an attack on the shift that gets through the autoencoder, "
    "and the same turned round. Of twelve people.",
    "shortcut": "The first miniature's optimiser started cold and spoilt the class's quality as "
    "well, which then healed slowly ([rates](regime.md)). Now the class keeps its quality.",
    "purification": "Now a restorer and a stand-in for CodeSR, under ASPL, on twelve people, "
    "and seventeen purifiers on eight. CodeSR's upscaler starts from 32 pixels, no longer from 16.",
    "withstanding": "Now of CDL as the paper has it, of the purifier by itself, and of likeness. "
    "The better models lose more to an attacker who knows the purifier. Of eight people, one "
    "training each.",
    "decoupling": "Probably the text encoder: it moves twice as far as in the paper, no longer "
    "24 times, and words keep the meaning by which CDL works. Models and rates changed, too.",
}
"""Why a finding changed, by its name; written by hand, after thought."""
SAME = "Nothing has changed: no finding was measured anew."
UNEXPLAINED = "not explained yet"


def changed() -> list[tuple[str, dict[str, Any], Finding]]:
    """Findings whose number or answer is no longer what it was: name, then, now."""
    earlier = read_result(NAME, folder=FOLDER)
    return [
        (name, earlier[name], now)
        for name, now in findings().items()
        if (earlier[name]["number"], earlier[name]["answer"]) != (now.number, now.answer)
    ]


def rows() -> list[list[str]]:
    """Claim, then, now, why: a row for each finding that changed."""
    return [
        [
            name,
            f"{then['title']}: {then['number']}. {ANSWER_LABELS[then['answer']]}",
            f"{now.title}: {now.number}. {ANSWER_LABELS[now.answer]}",
            WHY.get(name, UNEXPLAINED),
        ]
        for name, then, now in changed()
    ]
