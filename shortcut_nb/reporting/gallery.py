"""Every attack in one picture: what it does to a photo, and what a model learns from that.

``python -m shortcut_nb.reporting.gallery`` draws both. They show cells of the question `strength`:
after that was measured nothing is trained here. The person is the last of the question's people,
the sample is the first of theirs: nobody chose among them. The photo is the second: the first has a
white ground, on which half of each perturbation is cut off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure
from torch import Tensor

from ..experiments.questions import open_experiment
from ..experiments.questions.strength import VARIANTS
from ..pipeline import Pipeline
from ..plots import FAMILY_OF, save_figure
from ..plots.tiles import image_grid
from ..progress import StepInfo, progress
from . import display
from .figures import FOLDER

COLUMNS = 5
PHOTO = 1
SEED = 0
CLEAN = "clean"
UNTOUCHED = "no attack"
ALTS = {
    "attacks_gallery": "One photo of a person, clean and changed by every attack within 16 of 255 "
    "grey levels, each named and framed in the colour of its family.",
    "attacks_gallery_learned": "What a model draws of the person after learning from clean photos "
    "and from those of every attack: most leave ripples; PhotoGuard, its diffusion attack, SDS "
    "and AdvDM− pale or blurred people.",
}
"""The two pictures, and what they show for those who cannot see them."""


def family_of(name: str) -> str:
    """The family of an attack or of a variant of one."""
    attack, _ = VARIANTS.get(name, (name, {}))
    return UNTOUCHED if name == CLEAN else FAMILY_OF[attack]


def gallery(pipeline: Pipeline) -> dict[str, Figure]:
    """Both pictures of :data:`ALTS`, by name; what is not in the store is made."""
    profile = pipeline.lab.profile
    question = open_experiment("strength", profile)
    subject = pipeline.lab.subject(question.people(profile)[-1])
    cells = {name: cell for name, (cell, _) in question.all_cells().items()}
    photos: dict[str, Tensor] = {}
    learned: dict[str, Tensor] = {}
    bar = progress("gallery")
    for done, (name, cell) in enumerate(cells.items(), 1):
        photos[name] = pipeline.images(subject, cell, SEED)[PHOTO : PHOTO + 1]
        learned[name] = pipeline.samples(subject, cell, SEED, n=question.n)[:1]
        bar(StepInfo(done, len(cells)))
    called = {name: display.ATTACKS.get(name, name) for name in cells}
    families = {called[name]: family_of(name) for name in cells}
    tiles = [{called[name]: each[name] for name in cells} for each in (photos, learned)]
    return {
        name: image_grid(each, families, COLUMNS) for name, each in zip(ALTS, tiles, strict=True)
    }


def main(
    profile: Annotated[str, typer.Option(help="A profile.")] = "mini",
    folder: Annotated[Path, typer.Option(help="Where to.")] = FOLDER,
) -> None:
    """Draw every attack: what it does to a photo, and what is learned from it."""
    from ..lab import Lab

    for name, figure in gallery(Pipeline(Lab(profile))).items():
        print(save_figure(figure, name, ALTS[name], None, folder).png)


if __name__ == "__main__":
    from ..cli.exits import run_alone

    run_alone(main)
