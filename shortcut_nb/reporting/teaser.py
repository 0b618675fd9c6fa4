"""A picture for the first screen: what a model draws of four people, learned from their photos.

``python -m shortcut_nb.reporting.teaser`` draws it. It shows cells of the question `argument`:
after that was measured, nothing is trained here. Every picture is the first of its cell's samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure

from ..cells import Cell
from ..experiments.questions.argument import BUDGETS, RESTORER, TREATED, treatments
from ..pipeline import Pipeline
from ..plots import image_rows, save_figure
from ..progress import StepInfo, progress
from .figures import FOLDER

PEOPLE = 4
SEED = 0
BOTH = f"{RESTORER} + CDL"
# A treatment of the question, and its heading.
COLUMNS = {
    "clean": "learned from\nclean photos",
    TREATED: "from protected\nphotos",
    RESTORER: "from purified\nphotos",
    "CDL": "from protected\nphotos by CDL",
    BOTH: "from purified\nphotos by CDL",
}
HEADINGS = ("a photo", "the same,\nprotected", *COLUMNS.values())
ALT = (
    "Four people, one a row: a photo, the same photo protected, and what a model draws of the "
    "person after learning from clean photos, from protected ones, from purified ones, and by CDL "
    "from both."
)


def cell_of(treatment: str) -> Cell:
    """A treatment's cell, as the question has it."""
    return Cell(**{"eps": BUDGETS[0]} | treatments()[treatment])


def teaser(pipeline: Pipeline, people: Sequence[str], n: int = 8) -> Figure:
    """A row for each person; what is not in the store is made.

    Args:
        people: names of subjects.
        n: samples a cell, of which the first is shown; the question's own number costs nothing.
    """
    rows = {}
    bar, done = progress("teaser"), 0
    for number, name in enumerate(people, 1):
        subject = pipeline.lab.subject(name)
        protected = pipeline.images(subject, cell_of(TREATED), SEED)
        pictures = [subject.images[0], protected[0]]
        for treatment in COLUMNS:
            pictures.append(pipeline.samples(subject, cell_of(treatment), SEED, n=n)[0])
            done += 1
            bar(StepInfo(done, len(people) * len(COLUMNS)))
        rows[str(number)] = torch.stack(pictures)
    return image_rows(rows, HEADINGS)


def main(
    profile: Annotated[str, typer.Option(help="A profile.")] = "mini",
    people: Annotated[int, typer.Option(help="The first so many.", min=1)] = PEOPLE,
    folder: Annotated[Path, typer.Option(help="Where to.")] = FOLDER,
) -> None:
    """Draw the teaser of a profile's first people."""
    from ..lab import Lab

    lab = Lab(profile)
    figure = teaser(Pipeline(lab), lab.profile.subjects[:people])
    print(save_figure(figure, "teaser", ALT, None, folder).png)


if __name__ == "__main__":
    from ..cli.exits import run_alone

    run_alone(main)
