"""Looks on the way of clean training: which, and what is said when a step floods."""

import pandas as pd
import pytest

from shortcut_nb.analysis.lead import by_share
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.questions.course import SHARES, quality_holds
from shortcut_nb.experiments.questions.regime import CHOSEN, REGIMES
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import course

TOTAL = REGIMES[CHOSEN]["steps"]


@pytest.fixture(scope="module")
def question():
    return open_experiment("course", load_profile("mini"))


def measured(question, fall=0.0, at=10):
    """Eight people whose V* loses so much quality at one step, and is as it was elsewhere."""
    rows = []
    for cell in question.cells:
        for sheet in question.sheets:
            for number, person in enumerate(question.subjects):
                jitter = 0.01 * (number % 3 - 1)
                row = {"quality": 0.95 + jitter, "ims_missing": 0.5, "intact": 0.9}
                rows.append({"condition": cell, "subject": person, "sheet": sheet, "seed": 0} | row)
    frame = by_share(pd.DataFrame(rows)).rename(columns={"sheet": "prompt"})
    frame["sheet"] = [row["sheet"] for row in rows]
    here = (frame["condition"] == CHOSEN) & (frame["prompt"] == "instance")
    frame.loc[here & ((frame["share"] * TOTAL).round() == at), "quality"] -= fall
    frame = frame.drop(columns=["prompt", "share"])
    return Measurement.of("course", frame, contrasts=question.contrasts)


def test_validation_people_are_watched_under_clean_training_alone(question):
    assert all(cell.attack == "none" for cell in question.cells.values())
    assert all(name.startswith("mini:validation/") for name in question.subjects)
    looks = {sheet.at for sheet in question.sheets.values()}
    assert looks == {*SHARES, None} and len(question.sheets) == 2 * (len(SHARES) + 1)
    (primary,) = [each for each in question.contrasts if each.primary]
    assert primary.name == quality_holds(10)  # the first miniature was deepest there


def test_a_step_that_floods_is_said(question):
    assert course.facts(measured(question))["no_flood"]
    flooded = course.facts(measured(question, fall=0.3, at=20))
    assert not flooded["no_flood"]
    assert flooded["lowest_step"] == 20 and flooded["lowest"] == pytest.approx(0.65, abs=0.02)


def test_every_look_has_a_row_and_the_lowest_is_bold(question):
    lines = course.chosen(measured(question, fall=0.3, at=40)).split("\n")[2:]
    assert [line.split("|")[1].strip(" *") for line in lines] == [
        "0", "10", "20", "30", "40", "60", "80", "100", "120"
    ]  # fmt: skip
    assert [line.startswith("| **") for line in lines] == [number == 4 for number in range(9)]


def test_the_figure_has_a_panel_for_each_score_and_a_line_for_each_regime(question):
    figure = course.picture(course.curves(measured(question)))
    assert [ax.get_title() for ax in figure.axes] == list(course.SCORES.values())
    lines = {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()}
    assert list(lines) == list(course.REGIME_LOOKS) and len(set(lines.values())) == 3


def test_a_match_below_the_axis_is_told_by_its_number(question):
    own = measured(question)
    own.frame.loc[:, "ims_missing"] = -0.39
    (ax, *_) = course.picture(course.curves(own)).axes
    assert ax.get_ylim()[0] == course.FLOOR
    assert "−0.39 at step 0" in {text.get_text().strip() for text in ax.texts}


def test_looks_begin_as_early_as_the_regime_is_long(question):
    table = course.curves(measured(question))
    early = {name: sorted(set(own["step"]))[:3] for name, own in table.groupby("condition")}
    assert sorted(early.values()) == [[0, 5, 10], [0, 10, 20], [0, 20, 40]]
