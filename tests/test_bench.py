"""The command `bench`, on tiny models: a plan, a run, a failure, and what is wrong in one line."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from shortcut_nb import experiments
from shortcut_nb.cli import app
from shortcut_nb.cli.choices import parse_seeds
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.experiment import Experiment, parse_experiment
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import names, open_experiment
from shortcut_nb.profile import load_profile
from shortcut_nb.store import Store
from tests.tiny_profile import tiny_profile
from tests.tiny_sd_profile import save_photos

QUESTION = {
    "question": "Does noise change anything?",
    "axes": {"attack": ["none", "noise"]},
    "sheets": {"instance": {}},
    "subjects": 2,
    "seeds": [0],
    "n": 2,
    "contrasts": [
        {"name": "noise lowers quality", "metric": "quality", "weights": {"noise": 1, "none": -1},
         "expect": "-", "primary": True},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a tiny profile and a question."""
    folder = tmp_path_factory.mktemp("bench")
    profile = tiny_profile(folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile.model_dump(mode="json")))
    (folder / "noise.yaml").write_text(yaml.safe_dump(QUESTION))
    return folder


def bench(place, *words):
    environment = {"SHORTCUT_NB_CACHE": str(place / "store"), "SHORTCUT_NB_HEADLESS": "1",
                   "SHORTCUT_NB_RESULTS": str(place / "results")}  # fmt: skip
    profile = ["--profile", str(place / "tiny.yaml")]
    return CliRunner().invoke(app, ["bench", *map(str, words), *profile], env=environment)


@pytest.mark.slow
def test_a_question_in_a_file_is_planned_and_measured(place):
    planned = bench(place, place / "noise.yaml", "--plan")
    assert planned.exit_code == 0, planned.output
    assert "Does noise change anything?" in planned.output and "4 to make" in planned.output
    assert re.search(r"train +2 × noise 16/255, dreambooth plain\n", planned.output), planned.output
    done = bench(place, place / "noise.yaml", "--out", place / "rows.csv")
    assert done.exit_code == 0, done.output
    assert "noise lowers quality" in done.output
    rows = pd.read_csv(place / "rows.csv", keep_default_na=False)
    assert len(rows) == 2 * 2 * 2 and set(rows["condition"]) == {"none", "noise"}
    saved = bench(place, place / "noise.yaml", "--save")
    assert saved.exit_code == 0, saved.output
    kept = place / "results" / "tiny" / "noise.json"
    for words, there in ((["--out", place / "rows.csv"], place / "rows.csv"), (["--save"], kept)):
        there.write_bytes(before := there.read_bytes() + b"\n")
        refused = bench(place, place / "noise.yaml", *words)
        assert refused.exit_code == 2 and "--force" in refused.stderr, refused.output
        assert len(refused.stderr.strip().splitlines()) == 1 and there.read_bytes() == before
        assert bench(place, place / "noise.yaml", *words, "--force").exit_code == 0
        assert there.read_bytes() == before[:-1]
    kept = Measurement.read("noise", "tiny", place / "results" / "tiny")
    assert len(kept.frame) == 4 and kept.question == QUESTION["question"]
    assert list(kept.verdicts()["contrast"]) == ["noise lowers quality"]
    assert any(Store(place / "store").ls("train"))
    pruned = bench(place, place / "noise.yaml", "--keep-trained", "0")
    assert pruned.exit_code == 0 and not any(Store(place / "store").ls("train"))
    again = bench(place, place / "noise.yaml", "--plan")
    assert "0 to make" in again.output and "4 to make" not in again.output


def test_what_an_earlier_result_lacks_is_added_to_it(place):
    (place / "sittings.yaml").write_text(yaml.safe_dump(QUESTION))
    first = bench(place, place / "sittings.yaml", "--subjects", 1, "--cells", "non*", "--save")
    assert first.exit_code == 0, first.output
    assert "1 of 1 predictions are not measured" in first.output
    path = place / "results" / "tiny" / "sittings.json"
    kept = Measurement.read("sittings", "tiny", path.parent)
    assert len(kept.frame) == 1 and {"diffusion", "settings"} <= set(kept.made_with)
    assert list(kept.verdicts()["verdict"]) == ["not measured"]
    assert bench(place, place / "sittings.yaml", "--subjects", 1, "--save").exit_code == 2
    second = bench(place, place / "sittings.yaml", "--add")
    assert second.exit_code == 0, second.output
    whole = Measurement.read("sittings", "tiny", path.parent)
    assert len(whole.frame) == 4 and list(whole.verdicts()["n"]) == [2]
    part = bench(place, place / "sittings.yaml", "--add", "--cells", "non*")
    assert "noise lowers quality" in part.output  # of what is kept, not of this part alone
    before = path.read_bytes()
    fewer = bench(place, place / "sittings.yaml", "--add", "--n", 1)
    assert fewer.exit_code == 2 and "--n 2" in fewer.stderr and path.read_bytes() == before


def test_a_run_whose_time_is_over_says_so_and_saves_nothing(place):
    words = [place / "noise.yaml", "--seeds", "7,8", "--minutes", "0", "--save", "--force"]
    saved = place / "results" / "tiny" / "noise.json"
    before = saved.read_bytes() if saved.is_file() else None
    over = bench(place, *words)
    assert over.exit_code == 3, over.output
    assert "the same command goes on" in over.output and "Traceback" not in over.output
    assert (saved.read_bytes() if saved.is_file() else None) == before


def test_several_questions_at_once_share_what_they_have_in_common(place):
    """One more attack beside those of another question; what time cuts short keeps no one else."""
    more = QUESTION | {"name": "more", "seeds": [11], "axes": {"attack": ["none", "noise-uniform"]}}
    (place / "more.yaml").write_text(yaml.safe_dump(more | {"contrasts": []}))
    (place / "first.yaml").write_text(yaml.safe_dump(QUESTION | {"seeds": [11]}))
    both = [place / "first.yaml", place / "more.yaml", "--subjects", "1"]
    planned = bench(place, *both, "--plan").output
    assert "first, 2 cells" in planned and "more, 2 cells" in planned
    assert re.search(r"train +0 kept +3 to make", planned), planned  # clean training once
    whole = bench(place, place / "first.yaml", "--subjects", "1", "--save")
    assert whole.exit_code == 0, whole.output
    kept = [place / "results" / "tiny" / f"{name}.json" for name in ("first", "more")]
    kept[0].unlink()
    over = bench(place, *both, "--minutes", "0", "--save", "--force")
    assert over.exit_code == 3 and "more: the time is over with" in over.output, over.output
    assert "first: the time is over" not in over.output
    assert kept[0].is_file() and not kept[1].exists()
    done = bench(place, *both, "--save", "--force")
    assert done.exit_code == 0, done.output
    one, other = (Measurement.read(name, "tiny", place / "results" / "tiny").frame
                  for name in ("first", "more"))  # fmt: skip
    shared = [frame[frame["condition"] == "none"].reset_index(drop=True) for frame in (one, other)]
    pd.testing.assert_frame_equal(*shared)
    assert set(other["condition"]) == {"none", "noise-uniform"}


def test_a_result_that_cannot_be_saved_loses_no_other(place, monkeypatch):
    """Somebody else's sitting of other settings comes between; the next question is saved."""
    for name in ("third", "fourth"):
        (place / f"{name}.yaml").write_text(yaml.safe_dump(QUESTION | {"seeds": [12]}))
    read = Measurement.read.__func__
    written = []

    def changed(cls, name, *where):
        one = read(cls, name, *where)
        return replace(one, samples=99) if written else one

    both = [place / "third.yaml", place / "fourth.yaml", "--subjects", "1"]
    assert bench(place, *both, "--save").exit_code == 0
    (place / "results" / "tiny" / "fourth.json").unlink()
    monkeypatch.setattr(Measurement, "read", classmethod(changed))
    monkeypatch.setattr(
        "shortcut_nb.experiments.executor_choice.executor_of",
        lambda *how: written.append(1) or executor_of("serial", how[1]),
    )
    done = bench(place, *both, "--add")
    assert done.exit_code == 2 and "third: third has 99 samples a row" in done.stderr, done.output
    assert (place / "results" / "tiny" / "fourth.json").is_file()


@pytest.mark.slow
def test_memory_is_in_the_file_of_rows(place):
    out = place / "weighed.csv"
    done = bench(place, place / "noise.yaml", "--subjects", 1, "--memory", 1, "--out", out)
    assert done.exit_code == 0, done.output
    rows = pd.read_csv(out)
    assert rows.loc[rows["condition"] == "noise", "memory_mib"].min() > 100


def test_two_questions_of_one_name_are_refused(place):
    (place / "other").mkdir(exist_ok=True)
    (place / "other" / "noise.yaml").write_text(yaml.safe_dump(QUESTION))
    refused = bench(place, place / "noise.yaml", place / "other" / "noise.yaml", "--plan")
    assert refused.exit_code == 2 and "two experiments are called 'noise'" in refused.stderr


def test_subjects_are_folders_of_photos_in_any_profile(place):
    save_photos(place / "anna", number=1)
    save_photos(place / "bob", number=1)
    (place / "people.txt").write_text("# two of them\nanna\n\nmini:held-out/0\n")
    words = [place / "noise.yaml", "--n", 1, "--subject", place / "people.txt"]
    done = bench(place, *words, "--subject", place / "bob", "--out", place / "folders.csv")
    assert done.exit_code == 0, done.output
    rows = pd.read_csv(place / "folders.csv", keep_default_na=False)
    assert set(rows["subject"]) == {str(place / "anna"), str(place / "bob"), "mini:held-out/0"}
    assert len(rows) == 2 * 3


def test_a_failure_is_said_and_the_exit_code_says_so(place):
    (place / "store" / "protect").mkdir(parents=True, exist_ok=True)
    moved = (place / "store" / "protect").rename(place / "aside")
    (place / "store" / "protect").write_text("in the way")
    try:
        done = bench(place, place / "noise.yaml", "--seeds", "7,", "--subjects", "1")
        assert done.exit_code == 1
        done = bench(place, place / "noise.yaml", "--seeds", "0,7", "--subjects", "1")
    finally:
        (place / "store" / "protect").unlink()
        moved.rename(place / "store" / "protect")
    assert done.exit_code == 1 and "cannot be written" in done.stderr, done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nothing"], "benchmark"),
        (["nowhere.yaml"], "none at nowhere.yaml"),
        (["benchmark", "--executor", "dask", "--subjects", "1"], "serial, processes or ray"),
        (["benchmark", "--seeds", "x", "--plan"], "seeds read like"),
        (["benchmark", "--subjects", "99", "--plan"], "99 are wanted"),
        (["benchmark", "--subject", "nobody.txt", "--plan"], "one folder of photos"),
        (["benchmark", "--subject", "no/such/folder", "--plan"], "no/such/folder"),
        (["benchmark", "story", "--out", "rows.csv"], "one file, of one question"),
        (["benchmark", "--out", "/proc/nowhere/all.csv"], "cannot be written"),
        (["benchmark", "--out", "rows.txt"], "end in .csv"),
        (["benchmark", "--out", ""], "--out"),
        (["benchmark", "--keep-trained", "much"], "a size reads"),
        (["benchmark", "--keep-trained", "20"], "with its unit; got '20'"),
        (["old.yaml", "--save"], "--force"),
        (["old.yaml", "--cells", "nois"], "noise"),
    ],
)
def test_what_is_wrong_is_one_line(place, words, text):
    (place / "old.yaml").write_text(yaml.safe_dump(QUESTION))
    (place / "results" / "tiny").mkdir(parents=True, exist_ok=True)
    (place / "results" / "tiny" / "old.json").write_text('{"claims": []}')
    done = bench(place, *(place / word if word == "old.yaml" else word for word in words))
    assert done.exit_code == 2 and text in done.stderr, done.output
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "seeds"),
    [(None, None), ("3", (0, 1, 2)), ("0,4", (0, 4)), ("5,5", (5,)), ("7,", (7,))],
)
def test_seeds_are_how_many_or_which(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "1,-2", "a", "1.5", ",", "1,,"])
def test_other_seeds_are_refused(text):
    with pytest.raises(ValueError, match="seeds read like"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"name": "x"}, "cells or axes"),
        ({"name": "x", "cells": {"a": {}}, "axes": {"attack": ["none"]}}, "cells or axes"),
        ({"name": "x", "cells": {"a": {"atack": "aspl"}}}, "atack"),
        ({"name": "x", "cells": {"a": {"eps": "0.1"}}}, "k/255"),
        ({"name": "x", "cells": {"a": {}}, "seeds": []}, "seeds"),
        ({"name": "x", "cells": {"a": {}}, "contrasts": [{"name": "c"}]}, "metric"),
        ({"name": "x", "cells": {"a": {}}, "nmae": 1}, "nmae"),
    ],
)
def test_a_question_that_does_not_fit_is_refused(content, text):
    with pytest.raises(UserError, match=text):
        parse_experiment(content, "the file")


def test_axes_are_crossed_and_named():
    experiment = Experiment(
        name="x", axes={"attack": ["none", "aspl"], "training": {"cdl": {"prompts": "cdl"}}}
    )
    cells = experiment.all_cells()
    assert list(cells) == ["none | cdl", "aspl | cdl"]
    cell, columns = cells["aspl | cdl"]
    assert cell.prompts == "cdl" and columns["training"] == "cdl" and columns["attack"] == "aspl"


@pytest.mark.parametrize("name", names())
def test_every_question_of_the_package_opens(name):
    experiment = open_experiment(name, load_profile("mini"))
    assert experiment.name == name and experiment.question.endswith("?")
    cells = experiment.all_cells()
    sheets = set(experiment.sheets).union(*(cell.sheets for cell, _ in cells.values()))
    # A look inside a model names its rows itself; its own test holds them against the contrasts.
    inside = any(sheet.inside for sheet in experiment.sheets.values())
    rows = [{"condition": condition} | labels for condition, (_, labels) in cells.items()]
    for contrast in experiment.contrasts:
        for chosen in contrast.cells():
            sheet = chosen.pop("sheet")
            assert inside or sheet in sheets, contrast.name
            assert any(chosen.items() <= row.items() for row in rows), contrast.name
    decided = sum(contrast.primary for contrast in experiment.contrasts)
    assert decided == (name != "rates"), "a choice predicts nothing"


def test_the_benchmark_is_the_papers_matrix():
    cells = open_experiment("benchmark", load_profile("mini")).all_cells()
    assert len(cells) == 9 * 9 * 2


def test_a_plan_says_what_failed_the_last_time(place):
    own = {"noise": {"attack": "noise", "eps": "8/255", "purifier": "tvm"}}
    (place / "failing.yaml").write_text(yaml.safe_dump({"cells": own, "subjects": 1, "n": 1}))
    (place / "store").mkdir(exist_ok=True)
    shutil.rmtree(place / "store" / "purify", ignore_errors=True)
    (place / "store" / "purify").write_text("in the way")
    words = [place / "failing.yaml", "--seeds", "1"]
    assert bench(place, *words).exit_code == 1
    (place / "store" / "purify").unlink()
    planned = bench(place, *words, "--plan").output
    assert "1 × noise 8/255, tvm" in planned and "failed the last time: " in planned


def test_a_contrast_of_a_cell_that_is_not_there_is_refused_at_the_door(place):
    slip = {"name": "noise lowers quality", "metric": "quality", "weights": {"nois": 1, "none": -1}}
    (place / "slip.yaml").write_text(yaml.safe_dump(QUESTION | {"contrasts": [slip]}))
    refused = bench(place, place / "slip.yaml", "--plan")
    assert refused.exit_code == 2 and "Traceback" not in refused.output
    assert "no cell 'nois' to compare; the nearest are noise" in refused.stderr


def test_a_contrast_of_a_metric_that_is_not_there_is_one_line(place):
    slip = {"name": "noise", "metric": "qualty", "weights": {"noise": 1, "none": -1}}
    (place / "metric.yaml").write_text(yaml.safe_dump(QUESTION | {"contrasts": [slip]}))
    refused = bench(place, place / "metric.yaml", "--subjects", 1)
    assert refused.exit_code == 2 and "Traceback" not in refused.output
    assert "'qualty', which is not measured; the nearest are quality" in refused.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--gpus", "0.5"], "--gpus 0.5 is of --executor ray; got --executor serial"),
        (["--executor", "processes", "--address", "auto"], "--address auto is of --executor ray"),
        (["--workers", "2"], "--executor serial works at one thing at a time; got --workers 2"),
    ],
)
def test_options_of_another_executor_are_refused(place, words, line):
    refused = bench(place, place / "noise.yaml", *words)
    assert refused.exit_code == 2 and line in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "together"),
    [
        ([], 1),
        (["--executor", "processes"], 2),
        (["--executor", "processes", "--workers", "5"], 5),
        (["--workers", "3"], 3),
        (["--executor", "ray"], 1),
    ],
)
def test_a_plan_counts_with_as_many_workers_as_would_work(place, words, together):
    planned = bench(place, place / "noise.yaml", "--plan", *words)
    assert f"estimates with {together} at a time" in planned.output, planned.output


def test_scores_that_the_profile_cannot_give_are_named_before_the_work(place):
    content = yaml.safe_load((place / "tiny.yaml").read_text())
    content["measures"].pop("damage", None)
    (place / "without.yaml").write_text(yaml.safe_dump(content))
    weights = {"noise": 1, "none": -1}
    asked = [{"name": metric, "metric": metric, "weights": weights} for metric in ("intact", "ims")]
    (place / "asked.yaml").write_text(yaml.safe_dump(QUESTION | {"contrasts": asked}))
    words = [str(place / "asked.yaml"), "--plan", "--profile", str(place / "without.yaml")]
    environment = {"SHORTCUT_NB_CACHE": str(place / "store")}
    planned = CliRunner().invoke(app, ["bench", *words], env=environment)
    assert planned.exit_code == 0, planned.output
    line = "asked: 1 of 2 predictions will not be measured, since profile"
    assert line in planned.stderr and "has no models for intact" in planned.stderr


def test_without_predictions_the_means_are_shown(place):
    (place / "plain.yaml").write_text(yaml.safe_dump(QUESTION | {"contrasts": [], "subjects": 1}))
    done = bench(place, place / "plain.yaml", "--cells", "none")
    assert done.exit_code == 0, done.output
    rows = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines() if " " in line)
    assert rows["condition"] == "none" and rows["sheet"] == "instance"
    assert all(np.isfinite(float(rows[score])) for score in ("quality", "texture", "train_seconds"))
    assert done.stdout.count("plain: not kept for `report`; the same with --save keeps it") == 1


def test_a_result_that_another_run_kept_meanwhile_stays(place, monkeypatch):
    """The other one comes between the look at the door and the end."""
    (place / "late.yaml").write_text(yaml.safe_dump(QUESTION | {"subjects": 1}))
    there = place / "results" / "tiny" / "late.json"
    judged = experiments.run._failures

    def other(*given):
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("of another run")
        return judged(*given)

    monkeypatch.setattr(experiments.run, "_failures", other)
    words = [place / "late.yaml", "--seeds", "5,", "--cells", "none"]
    refused = bench(place, *words, "--save")
    assert refused.exit_code == 2 and "--force" in refused.stderr, refused.output
    assert there.read_text() == "of another run"


def screen(text):
    """The lines that a terminal shows after a text with carriage returns and cursors moved up."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[A|\r|\n|[^\r\n\x1b]+", text):
        if piece == "\x1b[A":  # of a bar below another one
            row = max(row - 1, 0)
        elif piece == "\r":
            column = 0
        elif piece == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        else:
            before = lines[row].ljust(column)
            lines[row] = before[:column] + piece + before[column + len(piece) :]
            column += len(piece)
    return [line.rstrip() for line in lines]


def with_bars(place, monkeypatch, *words):
    """`bench` with its bars drawn, every step of them."""
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    environment = {"SHORTCUT_NB_CACHE": str(place / "bars"), "SHORTCUT_NB_HEADLESS": ""}
    options = ["--profile", str(place / "tiny.yaml"), "--subjects", "1", "--cells", "none"]
    return CliRunner().invoke(app, ["bench", *map(str, words), *options], env=environment)


def test_what_it_says_stands_on_lines_of_its_own_beside_the_bar(place, monkeypatch):
    for number, name in enumerate(("first", "second")):
        (place / f"{name}.yaml").write_text(yaml.safe_dump(QUESTION | {"seeds": [number]}))
    both = (place / "first.yaml", place / "second.yaml")
    done = with_bars(place, monkeypatch, *both, "--save")
    assert done.exit_code == 0 and "2 questions:" in done.output, done.output
    saved = [line for line in screen(done.output) if "wrote" in line]
    assert saved == [f"wrote {place / 'bars' / 'results' / 'tiny' / name}.json"
                     for name in ("first", "second")]  # fmt: skip

    note_down, calls = experiments.run._failures, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) > 1:  # there is a bar by now
            raise KeyboardInterrupt
        return note_down(*given)

    (place / "third.yaml").write_text(yaml.safe_dump(QUESTION | {"seeds": [2]}))
    monkeypatch.setattr(experiments.run, "_failures", interrupted)
    done = with_bars(place, monkeypatch, place / "third.yaml")
    assert done.exit_code == 130
    assert "interrupted: what is done is kept, and the same command goes on" in screen(done.output)


@pytest.mark.slow
def test_a_report_of_an_own_question_under_an_own_profile_shows_samples(place):
    own = place / "mine.yaml"
    own.write_text(yaml.safe_dump(QUESTION | {"subjects": 1, "n": 1}))
    assert bench(place, own, "--save").exit_code == 0
    environment = {"SHORTCUT_NB_CACHE": str(place / "store"),
                   "SHORTCUT_NB_RESULTS": str(place / "results")}  # fmt: skip
    words = [str(own), "--out", str(place / "report"), "--profile", str(place / "tiny.yaml")]
    done = CliRunner().invoke(app, ["report", *words], env=environment)
    assert done.exit_code == 0, done.output
    assert (place / "report" / "figures" / "samples.png").is_file()
    assert "Samples of 2 of 2 cells" in (place / "report" / "mine.md").read_text("utf-8")


def test_a_report_of_what_was_not_kept_says_what_to_do(place, tmp_path):
    shutil.copy(place / "noise.yaml", place / "never.yaml")
    out, own, tiny = tmp_path / "out", str(place / "never.yaml"), str(place / "tiny.yaml")
    for name, profile, line in (
        (own, tiny, f"`shortcut-nb bench {own} --profile {tiny} --save` measures and keeps it"),
        ("argument", "mni", "expected a profile name (mini, "),
    ):
        words = [name, "--profile", profile, "--out", str(out)]
        refused = CliRunner().invoke(app, ["report", *words])
        assert refused.exit_code == 2 and line in refused.stderr, refused.output
        assert len(refused.stderr.strip().splitlines()) == 1 and not out.exists()
