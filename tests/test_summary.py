"""A kept measurement in two forms says the same, and a run is held against it."""

import re
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest

from shortcut_nb.errors import CannotRead, UserError
from shortcut_nb.experiments.contrasts import Contrast
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.reporting.summary import checked, summary, summary_of
from shortcut_nb.results import write_result
from shortcut_nb.runner.places import find_notebook

HARM = Contrast("aspl lowers quality", "quality", {"aspl": 1, "clean": -1}, expect="-",
                primary=True)  # fmt: skip


def frame(gaps, people=None):
    """Quality of clean and protected pictures; each person's gap is given."""
    people = people or [f"s{i}" for i in range(len(gaps))]
    rows = []
    for person, gap in zip(people, gaps, strict=True):
        for condition, level in (("clean", 0.9), ("aspl", 0.9 + gap)):
            rows.append({"condition": condition, "attack": condition, "subject": person, "seed": 0,
                         "sheet": "instance", "image": 0, "quality": level})  # fmt: skip
    return pd.DataFrame(rows)


def measured(gaps=(-0.3, -0.2, -0.25, -0.3, -0.2, -0.25)):
    return Measurement.of("harm", frame(gaps), contrasts=(HARM,), question="Does it harm?")


def test_what_was_kept_is_summed_up(tmp_path):
    measured().write(tmp_path)
    result = summary("harm", folder=tmp_path)
    assert result.primary()["verdict"] == "confirmed"
    assert result.verdict(HARM.name)["mean"] == pytest.approx(-0.25)
    wide = result.wide(["quality"], "instance").set_index("condition")
    assert wide.loc["aspl", "quality"] == pytest.approx(0.65)
    assert wide.loc["aspl", "quality_low"] < 0.65 < wide.loc["aspl", "quality_high"]
    assert str(result).endswith("on mini: 6 people, 1 seed, 1 sample of each")
    with pytest.raises(UserError, match="no contrast 'x'; the nearest are"):
        result.verdict("x")


def test_a_file_of_another_kind_is_told(tmp_path):
    write_result("rows", {"rows": []}, folder=tmp_path)
    with pytest.raises(
        CannotRead, match="no frame of measurements.*bench rows --profile mini --save"
    ):
        summary("rows", folder=tmp_path)


def test_a_run_on_someone_new_is_held_against_the_larger_one():
    larger = summary_of(measured())
    right, wrong = frame([-0.1], ["new"]), frame([0.1], ["new"])
    row = checked(right, [HARM], larger, ["new"]).iloc[0]
    assert (row["verdict"], row["asserted"]) == ("confirmed", True)
    assert row["here"] == pytest.approx(-0.1) and row["there"] == pytest.approx(-0.25)
    with pytest.raises(AssertionError, match=r"aspl lowers quality: \+0.100, there -0.250"):
        checked(wrong, [HARM], larger, ["new"])
    other = replace(larger, same=False)  # another profile: shown, and held to nothing
    assert not checked(wrong, [HARM], other, ["new"])["asserted"].any()
    assert not checked(wrong, [HARM], larger, ["s0"])["asserted"].any()  # it has seen s0
    with pytest.raises(AssertionError, match="nothing to check"):
        checked(right[right["condition"] == "clean"], [HARM], larger, ["new"])


@pytest.mark.parametrize(
    "gaps",
    [
        (-0.3, -0.2, -0.25, -0.3, -0.2),  # too few people
        (-0.3, -0.2, -0.25, -0.3, -0.2, -0.01),  # one next to nothing
        (0.3, 0.2, 0.25, 0.3, 0.2, 0.25),  # refuted
        (-1.0, 1.0, 1.0, -1.0, 1.0, -1.0),  # undecided
    ],
)
def test_what_is_not_sure_is_not_asserted(gaps):
    row = checked(frame([0.1], ["new"]), [HARM], summary_of(measured(gaps)), ["new"]).iloc[0]
    assert not row["asserted"] and np.isfinite(row["here"])


@pytest.mark.parametrize(
    ("notebook", "names"),
    [("06", ["purification"]), ("07", ["words", "decoupling"]), ("08", ["adaptive"])],
)
def test_a_notebook_holds_the_shipped_result_against_someone_new(notebook, names):
    path = find_notebook(notebook)
    cells = nbformat.read(path, as_version=4).cells
    (given,) = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    person = re.search(r'subject_name: str = "([^"]+)"', given).group(1)
    for name in names:
        assert person not in summary(name).subjects
