"""Frames of known numbers for a question: every cell, every sheet, several people."""

import numpy as np
import pandas as pd

SCORES = ("quality", "ims_missing", "texture", "coarse_texture", "intact", "apart", "loss")
WORSE = ("texture", "coarse_texture", "apart", "loss")  # less of it is better


def question_frame(experiment, levels, people=6, samples=2):
    """Rows as the runner reads them, of the cells and sheets that ``levels`` names.

    Args:
        levels: (condition, sheet) to quality; identity is the same, textures are one minus it.
    """
    rng, rows = np.random.default_rng(0), []
    cells = experiment.all_cells()
    for (condition, sheet), level in levels.items():
        cell, labels = cells[condition]
        assert sheet in experiment.sheets | cell.sheets, f"{condition} has no sheet {sheet}"
        for person in range(people):
            for image in range(samples):
                value = level + 0.05 * person + 0.003 * rng.normal()
                scores = {
                    name: 1 - value if "texture" in name or name == "apart" else value
                    for name in SCORES
                }
                place = {"subject": f"s{person}", "seed": 0, "sheet": sheet, "image": image}
                rows.append({"condition": condition} | labels | place | scores)
    return pd.DataFrame(rows)


def all_levels(experiment):
    """Every cell and sheet at one level."""
    return {
        (name, sheet): 0.5
        for name, (cell, _) in experiment.all_cells().items()
        for sheet in experiment.sheets | cell.sheets
    }
