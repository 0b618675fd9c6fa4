"""Slips in an experiment, a name or an option are told before anything is measured."""

import json
import socket
from typing import ClassVar

import pandas as pd
import pytest
from typer.testing import CliRunner

from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.cli import app
from shortcut_nb.cli.choices import parse_seeds
from shortcut_nb.errors import CannotRead, UserError
from shortcut_nb.experiments.contrasts import Contrast, judge
from shortcut_nb.experiments.executor_choice import check_executor, executor_of
from shortcut_nb.experiments.executors import check_reachable
from shortcut_nb.experiments.experiment import Experiment, parse_experiment, read_experiment
from shortcut_nb.experiments.joining import check_joins, made_with
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.table_files import read_table
from shortcut_nb.machine.doctor import wrong_settings
from shortcut_nb.metrics import METRICS, Texture
from shortcut_nb.metrics.base import Column
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import PROFILES, load_profile
from shortcut_nb.reporting.report_page import page_of
from shortcut_nb.reporting.tables import metric_columns
from shortcut_nb.results import path_of, write_result
from shortcut_nb.store import Store

BASE = {
    "name": "mine",
    "axes": {"attack": ["none", "noise"], "purifier": ["none", "jpeg"]},
    "base": {"eps": "16/255"},
}


def contrast(weights, **more):
    return {"name": "c", "metric": "quality", "weights": weights, "expect": "+"} | more


RIGHT = contrast({"attack=noise": 1, "attack=none": -1}, sheet="class")


@pytest.mark.parametrize(
    ("slip", "says"),
    [
        ({"name": "../mine"}, "got '../mine'"),
        ({"name": "a/b"}, "got 'a/b'"),
        ({"name": ""}, "got ''"),
        ({"subjects": 0}, "greater than or equal to 1"),
        ({"subjects": -1}, "greater than or equal to 1"),
        ({"contrasts": 3}, "a list of contrasts, got int"),
        ({"sheets": {"own": {"prompt": "a {foo}"}}}, "the template 'a {foo}' may use {identifier}"),
        ({"sheets": {"own": {"negative": "a {"}}}, "the template 'a {' has unmatched braces"),
        ({"base": {"instance": "a {foo}"}}, "the template 'a {foo}' may use {identifier}"),
        ({"contrasts": [contrast({"attack=nois": 1})]}, "no attack 'nois'"),
        ({"contrasts": [contrast({"atack=noise": 1})]}, "selects by 'atack'"),
        ({"contrasts": [RIGHT | {"sheet": "klass"}]}, "no sheet 'klass'"),
        ({"contrasts": [RIGHT | {"metric": "qualty"}]}, "'qualty', which is not measured"),
        ({"contrasts": [RIGHT | {"metric": 3}]}, "metric must be text, got 3"),
        ({"contrasts": [RIGHT | {"expect": 0, "margin": "big"}]}, "must be above 0, got 'big'"),
        ({"contrasts": [RIGHT | {"metric": "apart"}]}, "it needs sample_probes: [apart]"),
        ({"contrasts": [RIGHT | {"metric": "trait_hair"}]}, "it needs sample_probes: [traits]"),
        ({"contrasts": [RIGHT | {"metric": "clip_shift"}]}, "it needs image_probes: [shifts]"),
        (
            {"image_probes": ["shifts"], "contrasts": [RIGHT | {"metric": "shft"}]},
            "nearest are shift",
        ),
        ({"seeds": 99999999999}, "at most 1000 seeds"),
        ({"seeds": [0, 0]}, "expected each once, and 0 is given twice"),
        ({"subjects": ["x", "y", "x"]}, "expected each once, and 'x' is given twice"),
        ({"subjects": True}, "a list of names or folders; got True"),
        ({"n": True}, "true and false mean nothing here"),
        ({"sheets": {"instance": {"steps": True}}}, "true and false mean nothing here"),
        ({"sheets": {" ": {}}}, "a name is blank"),
        ({"contrasts": [RIGHT | {"name": " "}]}, "expected a name and a metric"),
        ({"subjects": []}, "a list of names or folders; got []"),
        ({"axes": {"attack": []}, "contrasts": []}, "the axis 'attack' has no values"),
        ({"base": {"settings": {"eps": "4/255"}}}, "settings must not have 'eps'"),
        ({"base": {"training": {"seed": 3}}}, "training must not have 'seed'"),
        (
            {"axes": {"what": {"bare": {"purifying": {"quality": 3}}}}, "contrasts": []},
            "purifying is a purifier's",
        ),
        ({"seds": [0]}, "seds: there is no such key; the nearest are seeds"),
        ({"base": {"epss": "8/255"}}, "epss: there is no such key; the nearest are eps"),
        ({"sheets": {"own": {"prmpt": "a"}}}, "sheets.own.prmpt: there is no such key"),
        (
            {"contrasts": [RIGHT | {"primary": True}, RIGHT | {"primary": True, "name": "d"}]},
            "one primary contrast at most, got c, d",
        ),
    ],
)
def test_an_experiment_with_a_slip_is_refused_in_a_line(slip, says):
    assert parse_experiment(BASE | {"contrasts": [RIGHT]}, "mine.yaml").contrasts
    with pytest.raises(UserError) as refused:
        parse_experiment(BASE | slip, "mine.yaml")
    assert says in str(refused.value) and "\n" not in str(refused.value)
    assert "Value error" not in str(refused.value)


INSIDE = {"sheets": {"instance": {}, "class": {"of": "class"}, "look": {"inside": "traces"}}}


@pytest.mark.parametrize(
    ("slip", "says"),
    [
        ({"metric": "qualty"}, "'qualty', which is not measured; the nearest are quality"),
        ({"metric": "lerned"}, "'lerned', which is not measured; the nearest are learned"),
        ({"metric": "apart"}, "it needs sample_probes: [apart]"),
    ],
)
def test_a_look_inside_a_model_keeps_the_other_metrics_checked(slip, says):
    row = {"attack=noise & sheet=low noise, protected": 1}
    right = [RIGHT, contrast(row, metric="learned", sheet=None) | {"name": "learned"}]
    assert len(parse_experiment(BASE | INSIDE | {"contrasts": right}, "mine.yaml").contrasts) == 2
    with pytest.raises(UserError) as refused:
        parse_experiment(BASE | INSIDE | {"contrasts": [RIGHT | slip]}, "mine.yaml")
    assert says in str(refused.value)


def test_a_measure_of_a_look_inside_needs_the_look():
    learned = RIGHT | {"metric": "learned"}
    with pytest.raises(UserError, match="it needs a sheet with inside: traces"):
        parse_experiment(BASE | {"contrasts": [learned]}, "mine.yaml")
    with pytest.raises(UserError, match="model probe 'trace': the nearest are traces"):
        parse_experiment(BASE | {"sheets": {"look": {"inside": "trace"}}}, "mine.yaml")
    own = {"base": {"eps": "16/255", "sheets": {"look": {"inside": "traces"}}}}
    assert parse_experiment(BASE | own | {"contrasts": [learned]}, "mine.yaml").contrasts


def test_a_cell_has_its_own_probes_in_place_of_the_bases():
    cells = {"one": {"image_probes": ["shifts"]}, "two": {}}
    laid = Experiment(name="x", question="?", base={"image_probes": ["controls"]}, cells=cells)
    assert laid.cells["one"].image_probes == ("shifts",)
    assert laid.cells["two"].image_probes == ("controls",)
    with pytest.raises(UserError, match="nearest are shifts"):
        Experiment(name="x", question="?", cells={"one": {"image_probes": ["shift"]}})


def test_a_contrast_may_be_of_a_metric_that_was_registered_just_now(monkeypatch):
    class Mine(Texture):
        name = "mine"
        columns: ClassVar = {"my_score": Column("my score", "", "higher")}

    harm = Contrast("harm", "my_score", {"one": 1.0})
    asked = {"name": "x", "question": "?", "cells": {"one": {}}, "contrasts": [harm]}
    with pytest.raises(UserError, match="not measured"):
        Experiment(**asked)
    monkeypatch.setitem(METRICS, "mine", Mine)
    assert Experiment(**asked).contrasts == (harm,)


def test_cells_by_name_lie_on_the_base():
    given = {"name": "mine", "base": {"training": {"steps": 2}, "eps": "4/255"}, "seeds": 3}
    asked = parse_experiment(given | {"cells": {"a": {}, "b": {"eps": "8/255"}}}, "mine.yaml")
    assert asked.cells["a"].training == {"steps": 2} == asked.cells["b"].training
    assert [asked.cells[name].eps for name in "ab"] == ["4/255", "8/255"]
    assert asked.seeds == (0, 1, 2)
    base = {"settings": {"steps": 5}, "purifying": {"quality": 5}, "attack": "advdm"}
    axes = {"attack": ["none", "advdm"], "purifier": ["none", "jpeg"]}
    crossed = parse_experiment(
        {"name": "mine", "base": base, "axes": axes}, "mine.yaml"
    ).all_cells()
    assert crossed["none | none"][0] == Cell()  # what the base says of others falls away
    assert crossed["advdm | jpeg"][0].settings == {"steps": 5}
    with pytest.raises(UserError, match="not Cell"):
        parse_experiment({"name": "mine", "base": base, "cells": {"a": Cell()}}, "mine.yaml")


def test_a_file_is_not_called_as_a_question_of_the_package_is(tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text("cells: {a: {}}\n")
    with pytest.raises(UserError, match="called 'story', as a question of the package is"):
        open_experiment(str(path), load_profile("mini"))
    path.write_text("name: mine\ncells: {a: {}}\n")
    assert open_experiment(str(path), load_profile("mini")).name == "mine"


def test_a_prediction_whose_measure_is_missing_is_not_measured_and_the_others_are():
    frame = pd.DataFrame({"condition": list("ab") * 3, "subject": list("xxyyzz"), "quality": 0.5})
    asked = [Contrast(name, name, {"a": 1, "b": -1}, None) for name in ("quality", "face")]
    table = judge(frame, asked, strict=False).set_index("contrast")
    assert table.loc["face", "verdict"] == "not measured" and table.loc["face", "n"] == 0
    assert table.loc["quality", "n"] == 3
    with pytest.raises(UserError, match="no column 'face'"):
        judge(frame, asked)


@pytest.mark.parametrize("seed", ["one", "", "1.5"])
def test_a_seed_that_is_no_whole_number_is_named(seed, tmp_path):
    (tmp_path / "own.csv").write_text(f"condition,subject,seed,quality\na,1,{seed},0.5\n")
    with pytest.raises(UserError, match="whole numbers in the column 'seed'"):
        Measurement.of("own", read_table(tmp_path / "own.csv"))


def test_sheets_and_people_that_are_numbers_are_names(tmp_path):
    (tmp_path / "own.csv").write_text("condition,subject,sheet,quality\na,1,2,0.5\na,2,,0.5\n")
    measured = Measurement.of("own", read_table(tmp_path / "own.csv"))
    assert set(measured.frame["subject"]) == {"1", "2"}
    assert page_of(measured).tables


def test_an_edited_cell_is_not_added_to_what_it_was(quick_lab):
    before = made_with(quick_lab, {"a": Cell(training={"steps": 2}), "b": Cell()}, {"s": Sheet()})
    after = made_with(quick_lab, {"a": Cell(training={"steps": 3}), "b": Cell()}, {"s": Sheet()})
    rows = pd.DataFrame({"condition": ["a"], "subject": ["x"], "quality": [0.5]})
    earlier = Measurement.of("mine", rows, made_with=before)
    with pytest.raises(UserError, match="measured with another cell a"):
        check_joins(earlier, 1, after)
    other = made_with(quick_lab, {"b": Cell()}, {"s": Sheet(steps=3)})
    with pytest.raises(UserError, match="measured with another sheet s"):
        check_joins(earlier, 1, other)
    check_joins(earlier, 1, made_with(quick_lab, {"c": Cell(eps="4/255")}, {"s": Sheet()}))
    one, two = (
        {"d": Cell(sheets={"own": Sheet(prompt=prompt)})} for prompt in ("a photo", "a picture")
    )
    earlier = Measurement.of("mine", rows, made_with=made_with(quick_lab, one))
    with pytest.raises(UserError, match="another sheet own of d"):
        check_joins(earlier, 1, made_with(quick_lab, two))


def test_scores_of_samples_are_told_sheet_by_sheet_whatever_is_predicted():
    rows = [
        {"condition": cell, "subject": who, "sheet": sheet, "copies": 0.1, "apart": 1.0, "linf": 4,
         "beyond_blur_psnr": 0.2, "trait_hair": 1.0, "learned": 0.3, "train_seconds": 2.0}
        for cell in "ab" for who in "xy" for sheet in ("instance", "class")
    ]  # fmt: skip
    scores, others = metric_columns(Measurement.of("mine", pd.DataFrame(rows)))
    assert set(scores) == {"copies", "apart", "trait_hair", "learned"}
    assert set(others) == {"linf", "beyond_blur_psnr", "train_seconds"}


def test_a_key_that_is_given_twice_is_refused_and_a_merged_one_is_not(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("axes: &axes {attack: [none], eps: [8/255]}\nn: 2\nn: 3\n")
    with pytest.raises(UserError, match="the key 'n' is given twice.*line 3"):
        read_experiment(path)
    path.write_text("base: &base {eps: 8/255}\ncells:\n  a: {<<: *base, eps: 4/255}\nbase: {}\n")
    with pytest.raises(UserError, match="the key 'base' is given twice"):
        read_experiment(path)
    path.write_text("cells:\n  a: &a {eps: 8/255}\n  b: {<<: *a, eps: 4/255}\n")
    assert read_experiment(path).cells["b"].eps == "4/255"
    profile = tmp_path / "profile.yaml"
    profile.write_text((PROFILES / "mini.yaml").read_text() + "\nresolution: 64\n")
    with pytest.raises(UserError, match="the key 'resolution' is given twice"):
        load_profile(profile)


def test_more_pictures_than_there_are_is_said_before_anything_is_made(quick_lab, tmp_path):
    pipeline, person = Pipeline(quick_lab, Store(tmp_path)), quick_lab.subject("mini:held-out/0")
    there = len(person.b) + len(person.a)
    assert pipeline.train(person, Cell(pictures=there), 0)
    with pytest.raises(UserError, match=f"has {there} pictures in sets B and A"):
        pipeline.train(person, Cell(pictures=there + 1), 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "holds no result but a list"),
        (None, "holds no result but a NoneType"),
        ({"format": 2}, "no frame of measurements in the present format .2, expected 4"),
        ({"format": 3}, "is damaged .KeyError: 'frame'"),
        ({"format": 3, "frame": {"condition": ["a"]}, "axes": ["condition"]}, "'subject'"),
        ({"format": 3, "frame": {"a": ["a"], "b": []}, "axes": []}, "same length"),
        ({"format": 3, "frame": {"a": {"rows": [0]}}, "axes": []}, "is damaged .KeyError: 'words'"),
        ({"format": 3, "frame": {"a": {"words": ["x"], "rows": [1]}}, "axes": []}, "IndexError"),
    ],
)
def test_a_file_that_is_no_measurement_is_named(content, says, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(content))
    with pytest.raises(CannotRead, match=says) as refused:
        Measurement.read("mine", folder=tmp_path)
    assert "mine" in str(refused.value) and "\n" not in str(refused.value)


def test_rows_of_nobody_and_numbers_without_a_mean_are_named(tmp_path):
    rows = pd.DataFrame({"condition": ["a", "b"], "subject": ["x", None], "quality": [1.0, 2.0]})
    with pytest.raises(UserError, match="a subject in every row, and 1 rows have none"):
        Measurement.of("mine", rows)
    rows = rows.assign(subject="x", quality=[1.0, float("inf")])
    with pytest.raises(UserError, match="'quality' has an infinite one"):
        Measurement.of("mine", rows)


def test_a_misspelt_stage_is_refused_and_one_without_outputs_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "store"))
    for command in (["ls"], ["verify"], ["prune"], ["export", str(tmp_path / "copy")]):
        refused = CliRunner().invoke(app, ["cache", *command, "--stage", "trian"])
        assert (
            refused.exit_code == 2 and "no stage 'trian'; the nearest are train" in refused.output
        )
        right = CliRunner().invoke(app, ["cache", *command, "--stage", "train"])
        assert right.exit_code == 0, right.output


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"purifier": "restorr"}, "unknown purifier 'restorr'"),
        ({"defaults": {"asple": {}}}, "no attack, purifier or trainer 'asple'"),
        ({"defaults": {"aspl": {"stepz": 1}}}, "stepz"),
    ],
)
def test_a_profile_with_a_slip_is_not_ready(change, says):
    mini = load_profile("mini")
    assert not wrong_settings(mini)
    assert says in wrong_settings(mini.model_copy(update=change))["settings"]


def test_words_that_can_be_filled_in_are():
    words = "{identifier} {class_name} {instance} {class_prompt} {noise_token} {negative}"
    asked = parse_experiment(
        BASE | {"sheets": {"own": {"prompt": words, "negative": words}}}, "mine.yaml"
    )
    assert asked.sheets["own"].prompt == words
    parse_experiment(
        BASE | {"base": {"instance": f"{words} {{traits}}", "eps": "16/255"}}, "mine.yaml"
    )


def test_a_result_lies_in_its_folder(tmp_path):
    assert path_of("mine 2.1-b", folder=tmp_path) == tmp_path / "mine 2.1-b.json"
    for name in ("../mine", "/mine", "a/b", "", ".", ".hidden"):
        with pytest.raises(UserError, match="a name is of letters"):
            write_result(name, {}, folder=tmp_path / "results")
    assert not list(tmp_path.iterdir())


def test_seeds_are_counted_up_to_a_thousand():
    assert parse_seeds("3") == (0, 1, 2) and parse_seeds("99999999999,") == (99999999999,)
    with pytest.raises(UserError, match="at most 1000 seeds"):
        parse_seeds("99999999999")


def test_a_damaged_parquet_table_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "frame.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(CannotRead, match="no Parquet table"):
        read_table(path)


def test_a_cluster_that_nobody_runs_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        check_reachable(address)
    with pytest.raises(UserError, match="no Ray cluster at"):
        check_reachable(address)
    for other in ("auto", "ray://head:10001", "local"):
        check_reachable(other)


def test_an_unknown_executor_is_named():
    with pytest.raises(UserError, match="serial, processes or ray; got 'foo'"):
        check_executor("foo")


@pytest.mark.parametrize(
    ("executor", "given", "says"),
    [
        ("serial", {"workers": 7}, "one thing at a time; got workers=7"),
        ("serial", {"gpus": 1}, "gpus=1 is of executor=ray; got executor=serial"),
        ("processes", {"address": "x"}, "address=x is of executor=ray; got executor=processes"),
        ("processes", {"workers": 0}, "workers must be at least 1; got 0"),
        ("ray", {"workers": 0}, "workers must be at least 1; got 0"),
    ],
)
def test_what_an_executor_would_pass_over_is_refused(executor, given, says, tiny_lab, tmp_path):
    with pytest.raises(UserError, match=says):
        executor_of(executor, Pipeline(tiny_lab, Store(tmp_path)), **given)
