"""The argument's predictions: signs, verdicts, and a check that fails when a sign is wrong."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.experiment import JOIN
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import story
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting.replicate import measure, table
from shortcut_nb.reporting.summary import checked, summary
from shortcut_nb.results import PACKAGE, read_result, write_result
from shortcut_nb.store import Store

EPS = "16/255"


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


def frame(levels, sheet="instance", subjects=6):
    rows = []
    for i in range(subjects):
        for treatment, level in levels.items():
            for image in range(3):
                value = level + 0.01 * i + 0.001 * image
                place = {
                    "subject": f"s{i}",
                    "seed": 0,
                    "eps": EPS,
                    "image": image,
                    "treatment": treatment,
                    "condition": f"{treatment}{JOIN}{EPS}",
                    "sheet": sheet,
                }
                scores = {"ims_missing": value, "quality": value}
                rows.append(place | scores | {"noise": 1 - value, "texture": 1 - value})
    return pd.DataFrame(rows)


LEVELS = {"clean": 0.8, "random noise": 0.7, "protected": 0.2, "purified": 0.6, "cdl": 0.1}


@pytest.fixture(scope="module")
def experiment():
    return story.experiment(load_profile("mini"), [EPS])


def by_name(data):
    verdicts = judge(data, story.contrasts(EPS), strict=False)
    return verdicts.assign(name=verdicts["contrast"].str.removesuffix(f", {EPS}")).set_index("name")


def test_differences_and_verdicts():
    verdicts = by_name(frame(LEVELS))
    assert verdicts.loc["protection lowers identity", "mean"] == pytest.approx(-0.6)
    assert verdicts.loc["protection lowers identity", "verdict"] == "confirmed"
    assert verdicts.loc["purification restores quality", "verdict"] == "confirmed"
    assert verdicts.loc["CDL restores quality", "verdict"] == "refuted"
    assert verdicts.loc["CDL restores quality", "agreeing"] == 0.0
    assert verdicts.loc["both restore quality", "verdict"] == "not measured"


def test_an_interval_around_zero_decides_nothing():
    data = frame({"clean": 0.5, "protected": 0.5})
    rng = np.random.default_rng(0)
    data["quality"] += rng.normal(0, 0.1, len(data))
    assert by_name(data).loc["protection lowers quality", "verdict"] == "undecided"


def test_the_negative_prompt_alone_is_a_control():
    control = frame({"protected": 0.5}, sheet="negative")
    verdicts = by_name(pd.concat([frame(LEVELS), control], ignore_index=True))
    assert verdicts.loc["CDL beats its negative prompt alone", "mean"] == pytest.approx(-0.4)


def test_noise_follows_the_identifier():
    own = frame({"clean": 0.9, "protected": 0.3})
    cls = frame({"clean": 0.9, "protected": 0.8}, sheet="class")
    verdicts = by_name(pd.concat([own, cls], ignore_index=True))
    for score in ("noise", "texture"):
        assert verdicts.loc[f"{score} follows V*, not the class", "mean"] == pytest.approx(0.5)


def kept(data, folder, experiment):
    Measurement.of("story", data, contrasts=experiment.contrasts).write(folder)
    return summary("story", folder=folder)


def test_the_check_fails_on_a_wrong_sign(tmp_path, experiment):
    larger = kept(frame(LEVELS), tmp_path, experiment)
    checks = checked(frame(LEVELS, subjects=1), experiment.contrasts, larger)
    rows = checks.set_index("contrast")
    refuted = rows.loc[f"CDL restores quality, {EPS}"]
    assert refuted["verdict"] == "refuted" and not refuted["asserted"]
    assert rows.loc[f"protection lowers quality, {EPS}", "asserted"]
    with pytest.raises(AssertionError, match="protection lowers identity"):
        checked(frame(LEVELS | {"protected": 0.9}, subjects=1), experiment.contrasts, larger)
    few = kept(frame(LEVELS, subjects=2), tmp_path, experiment)
    assert not checked(frame(LEVELS | {"protected": 0.9}), experiment.contrasts, few)[
        "asserted"
    ].any()
    with pytest.raises(AssertionError, match="nothing to check"):
        checked(frame({"clean": 1.0}), experiment.contrasts, larger)


def test_a_run_of_another_profile_or_budget_is_shown_and_not_held_to_the_verdicts(
    experiment, tmp_path, monkeypatch
):
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    write_result("story", read_result("story", folder=PACKAGE / "mini"))
    turned = frame(LEVELS | {"protected": 0.9}, subjects=1)
    name, mini = f"protection lowers quality, {EPS}", load_profile("mini")
    same = summary("story", mini, eps=EPS, subject="mini:held-out/7")
    assert same.same and same.heading == "measured on mini: 12 subjects, 2 seeds"
    with pytest.raises(AssertionError, match=name):
        checked(turned, experiment.contrasts, same)
    for profile, subject in ((load_profile("sd21"), None), (mini, "path/to/photos")):
        larger = summary("story", profile, eps=EPS, subject=subject)
        shown = checked(turned, experiment.contrasts, larger).set_index("contrast").loc[name]
        assert (shown["verdict"], shown["asserted"], shown["agrees"]) == ("confirmed", False, False)
    other = story.experiment(mini, ["4/255"])
    larger = summary("story", mini, eps="4/255", subject="mini:held-out/7")
    checks = checked(turned.assign(eps="4/255"), other.contrasts, larger)
    assert not larger.same and not checks["asserted"].any() and len(table(checks, larger).rows) > 3


def test_the_table_marks_what_is_asserted(tmp_path, experiment):
    larger = kept(frame(LEVELS), tmp_path, experiment)
    checks = checked(frame(LEVELS), experiment.contrasts, larger)
    shown = table(checks, larger)
    assert len(shown.marked) == checks["asserted"].sum() > 0
    opened, _, folded = shown.markdown().partition("<details>")
    assert f"| protection lowers quality, {EPS} |" in opened
    assert "| CDL restores quality, 16/255 |" in folded
    assert len(shown.rows) == opened.count("\n| ") + folded.count("\n| ") - 3  # their headers


def test_the_shipped_result_is_read(experiment):
    verdicts = summary("story").verdicts.set_index("contrast")
    assert set(verdicts.index) >= {contrast.name for contrast in experiment.contrasts}
    primary = verdicts.loc[f"{story.PRIMARY}, {EPS}"]
    assert primary["verdict"] == "confirmed" and primary["n"] == 12 and primary["mean"] < 0


def test_the_question_runs(lab, tmp_path):
    """Two treatments in miniature: samples of both prompts, and contrasts of what was drawn."""
    small = {"steps": 1, "class_images": 4, "batch_size": 1}
    whole = story.experiment(lab.profile, [EPS])
    axes = whole.axes | {"treatment": {k: story.TREATMENTS[k] for k in ("clean", "random noise")}}
    tried = whole.model_copy(update={"axes": axes, "base": {"training": small}})
    rows = measure(tried, Pipeline(lab, Store(tmp_path)), "mini:held-out/0", 0, 1)
    assert set(rows["treatment"]) == {"clean", "random noise"} and set(rows["eps"]) == {EPS}
    assert rows.groupby("treatment")["sheet"].nunique().to_dict() == {
        "clean": 2,
        "random noise": 1,
    }
    judged = judge(rows, tried.contrasts, strict=False)
    assert set(judged["verdict"]) == {"not measured"}  # nothing was protected
