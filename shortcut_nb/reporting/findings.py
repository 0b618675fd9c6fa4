"""Six findings in plain words, each with one number and one picture, from the shipped results.

What a sentence says follows from the numbers: every finding has words for the case that the
result holds, that it is open, and that it goes the other way. The words are in ``findings.yaml``,
the numbers come from :mod:`.argument`, :mod:`.intervention` and :mod:`.withstanding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ..templates import counted
from . import argument, intervention, withstanding
from .argument import Answer, Values
from .figures import FIGURES
from .pictures import PICTURES, file_of
from .shipped import shipped

ANSWER_LABELS: dict[Answer, str] = {
    "yes": "As the paper says.",
    "partly": "Partly as the paper says.",
    "open": "Open in the miniature.",
    "no": "Not as the paper says.",
}


@dataclass(frozen=True)
class Finding:
    """What was found, for a reader in a hurry.

    Attributes:
        title: a few words.
        number: the one to remember, as text.
        lead: what it says, in a sentence or two without statistics, its price with it.
        more: what else belongs to it, and what speaks against it, point by point.
        answer: whether the paper's claim holds in the miniature.
        figure: a name of :data:`.figures.FIGURES`.
        page: of ``docs/results``, with intervals and how it was measured.
    """

    title: str
    number: str
    lead: str
    more: tuple[str, ...]
    answer: Answer
    figure: str
    page: str

    @property
    def text(self) -> str:
        """Lead and more, as one text."""
        return " ".join((self.lead, *self.more))


NUMBERS: dict[str, Callable[[], tuple[Answer, Values]]] = {
    "protection": argument.protection_finding,
    "mismatch": intervention.mismatch_finding,
    "shortcut": argument.shortcut_finding,
    "purification": argument.purification_finding,
    "decoupling": argument.decoupling_finding,
    "withstanding": withstanding.withstanding_finding,
}
"""What works out each finding's answer and numbers, in the order of the argument."""


@cache
def words() -> dict[str, Any]:
    """``findings.yaml``. Its answers are text: in YAML a bare yes is a truth value."""
    return yaml.load(
        Path(__file__).with_name("findings.yaml").read_text("utf-8"), Loader=yaml.BaseLoader
    )


def finding(name: str) -> Finding:
    """A finding of :data:`NUMBERS`, from the shipped results."""
    answer, values = NUMBERS[name]()
    own = words()[name]
    return Finding(
        own["titles"][answer].format(**values),
        own["number"].format(**values),
        " ".join(_sentences(own["lead"], values)),
        _sentences(own["more"], values),
        answer,
        own["figure"],
        own["page"],
    )


def _sentences(parts: Sequence[str | dict[str, str]], values: Values) -> tuple[str, ...]:
    """What is said; a part whose condition does not hold may say nothing."""
    return tuple(filter(None, (_sentence(part, values) for part in parts)))


def _sentence(part: str | dict[str, str], values: Values) -> str:
    """A sentence with its numbers; of two the one whose condition holds."""
    if isinstance(part, dict):
        part = part.get("then" if values[part["if"]] else "else", "")
    return part.format(**values)


def findings() -> dict[str, Finding]:
    """All six findings by name, from the shipped results."""
    return {name: finding(name) for name in NUMBERS}


def block(name: str, each: Finding, number: int) -> str:
    """A finding in Markdown, for a page at the root of the repository."""
    measured, picture = shipped(FIGURES[each.figure].result), PICTURES[name]
    people, seeds = len(measured["subjects"]), len(measured["seeds"])
    whom = f"{counted(people, 'person', 'people')}, {counted(seeds, 'training')} each"
    points = "\n".join(f"- {point}" for point in each.more)
    return (
        f"### {number}. {each.title}: {each.number}\n\n"
        f"{each.lead} *{ANSWER_LABELS[each.answer]}*\n\n"
        f"*{picture.caption}*\n\n"
        f"![{picture.alt}](figures/{file_of(name)}.png)\n\n"
        f"[{whom}: intervals, and how it was measured](docs/results/{each.page}.md)\n\n"
        f"<details><summary>More</summary>\n\n{points}\n\n</details>"
    )


def readme() -> str:
    """The section of the README between its marks."""
    return "\n\n".join(block(name, each, i) for i, (name, each) in enumerate(findings().items(), 1))
