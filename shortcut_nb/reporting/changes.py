"""What changed from the first miniature to this one: claim, then, now, why.

The findings of then are kept beside the results, as they were.
"""

from __future__ import annotations

from typing import Any

from ..results import PACKAGE, read_result
from .findings import SAYS, Finding, findings

FOLDER = PACKAGE / "then"
NAME = "findings"
WHY: dict[str, str] = {}
"""Why a finding changed, by its name; written by hand, after thought."""
SAME = (
    "Every number on this page but the miniature's own card was measured with the first "
    "miniature's models. The package has the second's by now: better trained, and fine-tuned in "
    "[another regime](regime.md). When a question is measured anew, this section says of each "
    "finding what it was, what it is, and why it changed."
)
UNEXPLAINED = "not explained yet"


def changed() -> list[tuple[str, dict[str, Any], Finding]]:
    """Findings whose number or verdict is no longer what it was: name, then, now."""
    earlier = read_result(NAME, folder=FOLDER)
    return [
        (name, earlier[name], now)
        for name, now in findings().items()
        if (earlier[name]["number"], earlier[name]["verdict"]) != (now.number, now.verdict)
    ]


def rows() -> list[list[str]]:
    """Claim, then, now, why: a row for each finding that changed."""
    return [
        [
            name,
            f"{then['title']}: {then['number']}. {SAYS[then['verdict']]}",
            f"{now.title}: {now.number}. {SAYS[now.verdict]}",
            WHY.get(name, UNEXPLAINED),
        ]
        for name, then, now in changed()
    ]
