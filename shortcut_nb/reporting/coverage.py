"""How much was measured of each question: people, and trainings of each."""

from __future__ import annotations

import pandas as pd

from ..experiments.measured import Measurement
from ..experiments.questions import names, open_experiment
from ..profile import load_profile
from ..results import available

CELL = ["condition", "sheet"]


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
