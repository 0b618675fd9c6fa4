"""The question ``hidden`` for readers: what two encoders of identity say of the same samples."""

from __future__ import annotations

import pandas as pd

from ..experiments.means import widened
from ..experiments.measured import Measurement
from ..experiments.questions.hidden import CELLS, HARDENED, PLAIN
from . import display

COLUMNS = {PLAIN: "the measure of identity", HARDENED: "an encoder that looks through noise"}
"""Each encoder's column, and its heading."""
TREATMENT_NAMES = {
    name: display.ATTACKS.get(str(fields.get("attack")), display.CLEAN)
    for name, fields in CELLS.items()
}


def table() -> pd.DataFrame:
    """Mean identity match of V* samples, a row for what was trained on.

    Returns:
        ``name``, and for each of :data:`COLUMNS` "x", "x_low" and "x_high".
    """
    means = Measurement.read("hidden").means(list(COLUMNS), ["condition", "sheet"])
    wide = widened(means[means["sheet"] == "instance"], ["condition"], list(COLUMNS))
    return wide.assign(name=wide["condition"].map(TREATMENT_NAMES)).drop(columns="condition")
