"""How much was measured of each question: people, and trainings of each."""

from __future__ import annotations

import pandas as pd

from ..experiments.measured import Measurement
from ..experiments.questions import names, open_experiment
from ..profile import load_profile
from ..results import available

CELL = ["condition", "sheet"]
# Where DreamBooth learned from photos protected by ASPL at 16/255, and was asked for V*: the page
# of each question, its cell, and its sheet.
SAME_CELL = {
    "argument": ("argument", "aspl | 16/255", "instance"),
    "decoupling": ("decoupling", "protected 16/255 | plain", "plain"),
    "benchmark": ("defences", "aspl | none | dreambooth", "instance"),
    "words": ("decoupling", "plain | protected 16/255", "plain"),
    "adaptive": ("attackers", "nothing | none | 16/255", "instance"),
    "lasting": ("argument", "protected | usual", "instance"),
}


def table() -> pd.DataFrame:
    """A row for each shipped question: ``name, question, people, trainings``, as text.

    Where cells differ, from the fewest to the most.
    """
    profile = load_profile("mini")
    rows = []
    for name in sorted(set(names()) & set(available())):
        frame = Measurement.read(name).frame
        rows.append(
            {
                "name": f"`{name}`",
                "question": open_experiment(name, profile).question,
                "people": _span(frame.groupby(CELL)["subject"].nunique()),
                "trainings": _span(frame.groupby(CELL)["seed"].nunique()),
            }
        )
    return pd.DataFrame(rows)


def same_cell() -> pd.DataFrame:
    """The quality of one and the same treatment in several questions (:data:`SAME_CELL`).

    Returns:
        ``question`` (linked, for a page in ``docs``), ``people, trainings, samples``, and
        ``quality`` with its interval.
    """
    rows = []
    for name, (page, condition, sheet) in SAME_CELL.items():
        measured = Measurement.read(name)
        own = measured.frame
        own = own[(own["condition"] == condition) & (own["sheet"] == sheet)]
        means = measured.means(["quality"], CELL, sheet).set_index("condition").loc[condition]
        rows.append(
            {
                "question": f"[`{name}`](results/{page}.md)",
                "people": str(own["subject"].nunique()),
                "trainings": str(own["seed"].nunique()),
                "samples": str(measured.samples),
                "quality": means["mean"],
                "quality_low": means["low"],
                "quality_high": means["high"],
            }
        )
    return pd.DataFrame(rows)


def command(name: str) -> str:
    """The command that measures a shipped question again, with the same people, seeds and cells."""
    frame = Measurement.read(name).frame
    asked = open_experiment(name, load_profile("mini"))
    people, seeds = frame["subject"].nunique(), sorted(int(seed) for seed in set(frame["seed"]))
    lines = [f"shortcut-nb bench {name} --subjects {people} --seeds {len(seeds)} --save"]
    cells = dict.fromkeys(frame["condition"])
    if set(cells) != set(asked.all_cells()):
        lines += [f"--cells '{cell}'" for cell in cells]
    return " \\\n  ".join(lines)


def _span(counts: pd.Series) -> str:
    """A number, or the fewest and the most."""
    least, most = int(counts.min()), int(counts.max())
    return str(most) if least == most else f"{least} to {most}"
