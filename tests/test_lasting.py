"""Whether a remedy lasts: what is looked at, and what is said when it fades."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.questions.lasting import REMEDIES, TWICE, USUAL, growing
from shortcut_nb.experiments.questions.story import CONDITIONS
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import lasting
from shortcut_nb.reporting.summary import summary_of

PEOPLE = [f"mini:held-out/{i}" for i in range(8)]
KEPT = {"clean": 0.95, "random noise": 0.95, "protected": 0.45}


@pytest.fixture(scope="module")
def question():
    return open_experiment("lasting", load_profile("mini"))


def measured(question, falls=0.0, harm=0.0):
    """Eight people whom each remedy gives back.

    After twice the steps quality is lower by ``falls`` under each remedy, by ``harm`` without.
    """
    rows, spread = [], np.random.default_rng(0)
    for condition, sheet in ((c, s) for c in question.all_cells() for s in question.sheets):
        treatment, length = condition.split(" | ")
        quality = KEPT.get(treatment, 0.9)
        if length == TWICE:
            quality -= harm if treatment == "protected" else falls * (treatment not in KEPT)
        for person in PEOPLE:
            value = {"quality": quality + spread.normal(0, 0.01), "texture": 1.0}
            place = {"condition": condition, "treatment": treatment, "length": length}
            rows.append(place | {"subject": person, "sheet": sheet, "seed": 0} | value)
    frame = pd.DataFrame(rows).assign(ims_missing=0.8)
    return Measurement.of("lasting", frame, contrasts=question.contrasts)


@pytest.mark.parametrize("profile", ["mini", "sd15"])
def test_the_longer_training_has_twice_the_steps_of_the_profile_and_its_rate(profile):
    own = load_profile(profile)
    cells = open_experiment("lasting", own).all_cells()
    assert len(cells) == 2 * len(CONDITIONS)
    usual = own.defaults["dreambooth"]["steps"]
    for treatment in CONDITIONS:
        assert cells[f"{treatment} | {USUAL}"][0].training == {}
        assert cells[f"{treatment} | {TWICE}"][0].training == {"steps": 2 * usual}


def test_every_contrast_asks_of_a_sheet_that_is_drawn(question):
    asked = {place["sheet"] for each in question.contrasts for place in each.cells()}
    assert asked == set(question.sheets)
    (primary,) = [each for each in question.contrasts if each.primary]
    assert primary == growing("purified")


@pytest.mark.parametrize("harm", [0.0, 0.3])
def test_a_remedy_that_holds_is_confirmed_whatever_becomes_of_the_harm(question, harm):
    rows = lasting.harm_left(lasting.summary_of(measured(question, harm=harm)))
    assert list(rows["verdict"]) == ["confirmed"] * len(REMEDIES)
    assert rows["grows"].tolist() == pytest.approx([0.0] * len(REMEDIES), abs=0.02)


@pytest.mark.parametrize("harm", [0.0, 0.3])
def test_harm_that_comes_back_is_refuted_whatever_becomes_of_it_without_a_defence(question, harm):
    rows = lasting.harm_left(lasting.summary_of(measured(question, falls=0.3, harm=harm)))
    assert list(rows["verdict"]) == ["refuted"] * len(REMEDIES)
    assert not lasting.lasting_values(lasting.summary_of(measured(question, falls=0.3)))["lasts"]
    assert rows["grows"].tolist() == pytest.approx([-0.3] * len(REMEDIES), abs=0.02)
    assert (rows["twice"] - rows["usual"]).tolist() == pytest.approx(
        [-0.3] * len(REMEDIES), abs=0.02
    )


@pytest.mark.parametrize("fading", REMEDIES)
def test_remedies_last_where_every_one_of_them_does(question, fading):
    asked = measured(question)
    assert lasting.lasting_values(summary_of(asked))["lasts"]
    frame = asked.frame.copy()
    frame.loc[(frame["treatment"] == fading) & (frame["length"] == TWICE), "quality"] -= 0.3
    assert not lasting.lasting_values(summary_of(replace(asked, frame=frame)))["lasts"]


def test_the_curves_have_every_look_of_both_lengths(question):
    table = lasting.curves(measured(question))
    steps = {name: sorted(set(part["step"])) for name, part in table.groupby("length")}
    assert steps == {USUAL: [10, 20, 40, 60, 90, 120], TWICE: [20, 40, 80, 120, 180, 240]}
    figure = lasting.picture(table)
    titles = [
        f"{score}\n{n}-step training" for n in (120, 240) for score in lasting.SCORES.values()
    ]
    assert [ax.get_title() for ax in figure.axes] == titles
    assert all(len(ax.get_lines()) == len(CONDITIONS) for ax in figure.axes)


def test_the_table_of_ends_has_a_row_for_each_treatment_and_marks_no_defence(question):
    lines = lasting.ends(measured(question)).split("\n")[2:]
    assert [line.split("|")[1].strip(" *") for line in lines] == list(
        lasting.TREATMENT_NAMES.values()
    )
    assert [line.startswith("| **") for line in lines] == [
        name == "protected" for name in lasting.TREATMENT_NAMES
    ]
