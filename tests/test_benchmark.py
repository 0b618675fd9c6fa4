"""The paper's matrix as its readers see it, on known numbers."""

import dataclasses

import pandas as pd
import pytest
from scipy.stats import sem, t

from shortcut_nb.errors import UserError
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.plots.matrix import matrix_plot
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import benchmark, display
from shortcut_nb.reporting.summary import checked, summary

from .legibility import points_on_page
from .question_frames import question_frame

# Quality by attack, purifier and training: each defence is weakest under another attack.
LEVELS = {
    ("none", "none", "dreambooth"): 0.6, ("noise", "none", "dreambooth"): 0.05,
    ("aspl", "none", "dreambooth"): 0.1, ("photoguard", "none", "dreambooth"): 0.3,
    ("none", "codesr", "cdl"): 0.5, ("aspl", "codesr", "cdl"): 0.5,
    ("photoguard", "codesr", "cdl"): 0.4,
    ("none", "jpeg", "dreambooth"): 0.55, ("aspl", "jpeg", "dreambooth"): 0.2,
    ("photoguard", "jpeg", "dreambooth"): 0.25, ("glaze", "jpeg", "dreambooth"): 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def question():
    return open_experiment("benchmark", load_profile("mini"))


@pytest.fixture(scope="module")
def measured(question):
    levels = {(" | ".join(cell), "instance"): level for cell, level in LEVELS.items()}
    return Measurement.of("benchmark", question_frame(question, levels))


def test_every_value_of_the_axes_has_a_name(question):
    assert set(question.axes["attack"]) == set(benchmark.PICTURES)
    assert set(question.axes["purifier"]) == set(benchmark.PURIFIERS)


def test_names_of_defences():
    assert benchmark.defence("none", "dreambooth") == "no defence"
    assert benchmark.defence("none", "cdl") == "CDL"
    assert benchmark.defence("codesr", "cdl") == benchmark.WHOLE == "CodeSR + CDL"
    assert benchmark.defence("jpeg+restorer", "dreambooth") == "jpeg+restorer"


def test_a_field_is_the_mean_over_people_with_its_interval(measured):
    table = benchmark.matrix(measured)
    (row,) = table[
        (table["photos"] == "ASPL") & (table["defence"] == "JPEG") & (table["score"] == "quality")
    ].to_dict("records")
    own = measured.frame[measured.frame["condition"] == "aspl | jpeg | dreambooth"]
    people = own.groupby("subject")["quality"].mean()
    half = t.ppf(0.975, len(people) - 1) * sem(people)
    assert row["mean"] == pytest.approx(people.mean())
    assert (row["low"], row["high"]) == pytest.approx((people.mean() - half, people.mean() + half))
    assert row["n"] == len(people) == 6


def test_what_a_defence_does_to_photos_that_nobody_protected_is_no_worst_case(question):
    """What it costs on clean photos is told beside."""
    levels = {(" | ".join(cell), "instance"): level for cell, level in LEVELS.items()}
    levels["none | jpeg | dreambooth", "instance"] = 0.0
    measured = Measurement.of("benchmark", question_frame(question, levels))
    worst = benchmark.worst_cases(measured).set_index("defence").loc["JPEG"]
    assert worst["quality_under"] == "ASPL"
    assert worst["quality"] - worst["clean_quality"] == pytest.approx(0.2, abs=0.01)


def test_defences_are_judged_where_they_do_worst(measured):
    worst = benchmark.worst_cases(measured).set_index("defence")
    assert list(worst.index) == ["CodeSR + CDL", "JPEG", "no defence"]  # the best comes first
    assert worst["quality_under"].to_dict() == {
        "CodeSR + CDL": "PhotoGuard",
        "JPEG": "ASPL",  # Glaze, which not every defence met, does not count
        "no defence": "ASPL",  # nor does random noise, which is no protection
    }
    assert worst.loc["JPEG", "quality"] - worst.loc["no defence", "quality"] == pytest.approx(
        0.1, abs=0.01
    )
    assert worst.loc["CodeSR + CDL", "clean_quality"] == pytest.approx(0.625, abs=0.01)


def test_defences_that_met_no_common_protection_are_not_compared(question):
    levels = {
        ("aspl | none | dreambooth", "instance"): 0.1,
        ("photoguard | restorer | dreambooth", "instance"): 0.3,
    }
    apart = Measurement.of("benchmark", question_frame(question, levels))
    with pytest.raises(UserError, match="every one of them met"):
        benchmark.worst_cases(apart)


def test_a_protection_without_a_name_is_drawn_under_its_own(measured):
    frame = measured.frame.replace({"attack": {"photoguard": "adaptive-aspl"}})
    figure = benchmark.picture(benchmark.matrix(dataclasses.replace(measured, frame=frame)))
    names = [name.get_text() for name in figure.axes[0].get_xticklabels()]
    assert names == ["clean photos", "ASPL", "Glaze", "adaptive-aspl"]


def test_cells_are_shared_by_the_people_of_all_of_them(measured):
    frame = measured.frame
    some = (frame["condition"] == "aspl | codesr | cdl") & frame["subject"].isin(["s0", "s1"])
    fewer = dataclasses.replace(measured, frame=frame[~some])
    own = fewer.shared(["aspl | codesr | cdl", "none | codesr | cdl"]).frame
    assert set(own["subject"]) == {"s2", "s3", "s4", "s5"} and own["condition"].nunique() == 2


def test_fewer_measures_are_fewer_panels(measured):
    bare = dataclasses.replace(measured, frame=measured.frame.drop(columns=["intact"]))
    assert set(benchmark.matrix(bare)["score"]) == {"quality", "identity match"}
    assert "intact" not in benchmark.worst_cases(bare)


def numbers_of(ax):
    return [text.get_text() for text in ax.texts]


def test_the_picture_has_every_number_and_no_other(measured):
    table = benchmark.matrix(measured)
    order = list(benchmark.PICTURES.values())
    figure = matrix_plot(table, "defence", "photos", "score", order=order)
    assert [ax.get_title() for ax in figure.axes] == list(display.UNIT_SCORES.values())
    for ax in figure.axes:
        own = table[table["score"] == ax.get_title()]
        assert sorted(numbers_of(ax)) == sorted(f"{mean:.2f}" for mean in own["mean"])
        there = [name.get_text() for name in ax.get_xticklabels()]
        assert there == [name for name in order if name in set(own["photos"])]
    rows = [name.get_text() for name in figure.axes[0].get_yticklabels()]
    assert rows == list(dict.fromkeys(table["defence"]))
    width = figure.get_size_inches()[0]
    sizes = [text.get_fontsize() for ax in figure.axes for text in ax.texts]
    assert min(points_on_page(size, width) for size in sizes) >= 9


def test_the_figure_leaves_out_what_few_defences_met(measured):
    table = benchmark.matrix(measured)
    assert "random noise" in set(table["photos"])
    assert "random noise" not in set(benchmark.drawn(table)["photos"])
    figure = benchmark.picture(table)
    names = {name.get_text() for ax in figure.axes for name in ax.get_xticklabels()}
    assert "random noise" not in names and "clean photos" in names
    assert "empty" in figure.get_supxlabel()  # Glaze, which not every defence met
    full = benchmark.picture(table[table["photos"] != "Glaze"])
    assert "empty" not in full.get_supxlabel()


def test_a_lighter_field_is_a_better_one(measured):
    table = benchmark.matrix(measured)
    figure = matrix_plot(table[table["score"] == "quality"], "defence", "photos", "score")
    (ax,) = figure.axes
    figure.canvas.draw()
    mesh = ax.collections[0]
    brightness = mesh.get_facecolors()[:, :3] @ [0.21, 0.72, 0.07]
    values = mesh.get_array().ravel()
    drawn = pd.Series(brightness, index=values.filled(-1) if hasattr(values, "filled") else values)
    drawn = drawn[drawn.index > 0].sort_index()
    assert len(drawn) == len(LEVELS) and drawn.is_monotonic_increasing


def test_what_cannot_be_drawn(measured):
    table = benchmark.matrix(measured)
    with pytest.raises(ValueError, match="two"):
        matrix_plot(pd.concat([table, table]), "defence", "photos", "score")
    with pytest.raises(ValueError, match="got none"):
        matrix_plot(table.iloc[:0], "defence", "photos", "score")
    with pytest.raises(UserError, match="no column"):
        matrix_plot(table, "defence", "photos", "panel")


# What notebook 09 measures of one person, as the larger measurement has it.
LIVE = {
    "none | none | dreambooth": 0.9, "aspl | none | dreambooth": 0.4,
    "aspl | restorer | dreambooth": 0.9, "aspl | none | cdl": 0.9, "aspl | restorer | cdl": 0.9,
}  # fmt: skip


def claim_check(question, **changed):
    levels = LIVE | {f"aspl | {name}": level for name, level in changed.items()}
    frame = question_frame(question, {(c, "instance"): q for c, q in levels.items()}, people=1)
    return checked(frame, question.contrasts, summary("benchmark"), ["mini:held-out/20"])


def test_the_claim_check_of_the_notebook_fails_without_the_effect(question):
    beside = claim_check(question)
    assert beside["asserted"].all() and len(beside) == 4
    with pytest.raises(AssertionError, match="aspl lowers quality"):
        claim_check(question, **{"none | dreambooth": 0.95})
    with pytest.raises(AssertionError, match="the restorer alone restores quality, aspl"):
        claim_check(question, **{"restorer | dreambooth": 0.3})
    with pytest.raises(AssertionError, match="CDL alone restores quality, aspl"):
        claim_check(question, **{"none | cdl": 0.3})


def test_the_hardest_protection_is_told_from_the_shipped_result():
    told = benchmark.hardest_values()
    frame = Measurement.read("benchmark").frame
    own = frame[frame["condition"] == "photoguard | codesr | dreambooth"]
    assert told["hard_papers"] == pytest.approx(own.groupby("subject")["ims_missing"].mean().mean())
    assert told["hard_people"] == own["subject"].nunique()
    helps = summary("benchmark").verdict("CDL alone restores the person, photoguard")
    assert told["cdl_helps"] == (helps["low"] > 0)
