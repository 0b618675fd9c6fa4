"""A picture for each finding: what models drew, row by row, from the runs behind its number.

``python -m shortcut_nb.reporting.pictures`` draws them. They show cells of questions: after those
were measured nothing is trained here. The person is the first of the question's people, the
samples are the first of theirs: nobody chose among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure

from ..cells import OWN
from ..experiments.experiment import JOIN
from ..experiments.questions import adaptive, argument, open_experiment
from ..experiments.questions.decoupling import HARD
from ..pipeline import Pipeline
from ..plots import image_rows, save_figure
from ..progress import StepInfo, progress
from .figures import FOLDER

COLUMNS = 4
NOISE = "random noise"
LARGEST = adaptive.BUDGETS[-1]


@dataclass(frozen=True)
class SampleRows:
    """Rows of samples that show a finding.

    Attributes:
        question: whose cells are shown.
        rows: what stands beside a row, to a condition of the question and one of its sheets
            (None: the cell's own prompt).
        alt: what it shows, for those who cannot see it.
        caption: one line below the picture.
    """

    question: str
    rows: Mapping[str, tuple[str, str | None]]
    alt: str
    caption: str


def argument_rows(*treatments: str) -> dict[str, tuple[str, str | None]]:
    """Rows of the argument's treatments at its usual budget, V* samples."""
    names = {
        "clean": "clean photos",
        NOISE: "photos with\nrandom noise",
        argument.TREATED: "photos protected\nby ASPL",
        argument.RESTORER: "protected, then\nrestored",
        argument.PAPERS: "protected, then\nCodeSR",
    }
    eps = argument.BUDGETS[0]
    return {names[each]: (f"{each}{JOIN}{eps}", None) for each in treatments}


PICTURES: dict[str, SampleRows] = {
    "protection": SampleRows(
        "argument",
        argument_rows("clean", NOISE, argument.TREATED),
        "Samples of one person after learning from clean photos, from photos with random noise and "
        "from photos protected by ASPL: the last are covered with ripples, the others are clean.",
        "Learned from …",
    ),
    "mismatch": SampleRows(
        "intervention",
        {
            "clip-shift: what\nphotos mean": ("clip-shift", None),
            "decoded-shift: what\nthe model sees": ("decoded-shift", None),
            "decoded-shift,\nturned round": ("decoded-shift, turned", None),
            "ASPL": ("aspl", None),
        },
        "Samples of one person after learning from photos changed by clip-shift, by decoded-shift, "
        "by the same turned round, and by ASPL: the second and the last are spoilt.",
        "Learned from photos changed by …",
    ),
    "shortcut": SampleRows(
        "argument",
        {
            "“a photo of\nsks person”": (f"{argument.TREATED}{JOIN}{argument.BUDGETS[0]}", None),
            "“a photo of\na person”": (f"{argument.TREATED}{JOIN}{argument.BUDGETS[0]}", "class"),
        },
        "What one model draws after learning from protected photos: the person by name, covered "
        "with ripples, and other people by the word person, clean.",
        "The same model, asked for …",
    ),
    "purification": SampleRows(
        "argument",
        argument_rows(argument.TREATED, argument.RESTORER, argument.PAPERS),
        "Samples of one person after learning from protected photos, from restored ones and from "
        "those that CodeSR cleaned: the ripples are gone from the last two.",
        "Learned from …",
    ),
    "decoupling": SampleRows(
        "decoupling",
        {
            "without CDL": (f"{HARD}{JOIN}plain", "plain"),
            "with CDL": (f"{HARD}{JOIN}cdl", "suffix-negative"),
            "with CDL, asked\nfor the noise": (f"{HARD}{JOIN}cdl", "named"),
        },
        "Samples of one person after learning from the same protected photos without CDL, covered "
        "with ripples, with CDL, clean, and with CDL when the noise is named: ripples again.",
        "Learned from the same protected photos …",
    ),
    "withstanding": SampleRows(
        "adaptive",
        {
            "clean photos": (adaptive.name(("clean", "none", "0/255")), None),
            "purified, attacker\nknows nothing": (
                adaptive.name((adaptive.NOTHING, "purifier", LARGEST)),
                None,
            ),
            "purified, attacker\nknows it": (
                adaptive.name((adaptive.informed("purifier"), "purifier", LARGEST)),
                None,
            ),
            "purified and CDL,\nattacker knows both": (
                adaptive.name((adaptive.informed("both"), "both", LARGEST)),
                None,
            ),
        },
        f"Samples of one person after clean photos, and at {LARGEST}: after purifying, under an "
        "attacker who knows nothing and under one who knows the purifier, and with CDL as well "
        "under one who knows both.",
        f"Learned from clean photos, and from ones protected at {LARGEST} …",
    ),
}
"""The picture of each finding, by the finding's name."""


def file_of(name: str) -> str:
    """The figure that a finding's picture is kept as."""
    return f"finding_{name}"


def drawn(pipeline: Pipeline, name: str, seed: int = 0) -> Figure:
    """A finding's picture; samples that are not in the store are made.

    Args:
        name: one of :data:`PICTURES`.

    Raises:
        KeyError: no such picture, or a cell that the question no longer has.
    """
    picture, profile = PICTURES[name], pipeline.lab.profile
    question = open_experiment(picture.question, profile)
    subject = pipeline.lab.subject(question.people(profile)[0])
    cells = question.all_cells()
    rows = {}
    for label, (condition, sheet) in picture.rows.items():
        cell, _ = cells[condition]
        sheets = question.sheets | cell.sheets
        own = sheets[sheet] if sheet else OWN
        rows[label] = pipeline.samples(subject, cell, seed, own, question.n)[:COLUMNS]
    return image_rows(rows, widest=COLUMNS)


def main(
    profile: Annotated[str, typer.Option(help="A profile.")] = "mini",
    folder: Annotated[Path, typer.Option(help="Where to.")] = FOLDER,
) -> None:
    """Draw the picture of each finding."""
    from ..lab import Lab

    pipeline, bar = Pipeline(Lab(profile)), progress("pictures")
    for done, (name, picture) in enumerate(PICTURES.items(), 1):
        saved = save_figure(drawn(pipeline, name), file_of(name), picture.alt, None, folder)
        bar(StepInfo(done, len(PICTURES)))
        print(saved.png)


if __name__ == "__main__":
    from ..cli.exits import run_alone

    run_alone(main)
