"""Results: one writer, one reader, and a wheel that has them, and the notebooks."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.errors import CannotRead
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.packing import packed, unpacked
from shortcut_nb.reporting.summary import summary
from shortcut_nb.results import (
    PACKAGE,
    available,
    folder_of,
    path_of,
    read_result,
    write_result,
)
from shortcut_nb.store import Store

ROOT = Path(__file__).resolve().parent.parent


def test_what_is_written_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    content = {"mean": np.float32(0.5), "n": np.int64(3), "low": float("nan"), "rows": [{"a": 1}]}
    path = write_result("story", content, "tiny")
    assert path == tmp_path / "tiny" / "story.json"
    assert read_result("story", "tiny") == {"mean": 0.5, "n": 3, "low": None, "rows": [{"a": 1}]}
    assert available("tiny") == ["story"] and available("other") == []
    assert [p.name for p in path.parent.iterdir()] == ["story.json"]


def test_a_result_of_ones_own_goes_to_the_store_and_not_into_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "store"))
    assert folder_of("story", "sd21:smoke") == PACKAGE / "sd21-smoke"
    path = write_result("own", {"seeds": [0]}, "mini")
    assert path == tmp_path / "store" / "results" / "mini" / "own.json" == path_of("own")
    assert read_result("own") == {"seeds": [0]} and {"own", "story"} <= {*available()}
    Store().export(tmp_path / "second")
    assert Store(tmp_path / "second").export(tmp_path / "store") == []  # results are the store's


def test_in_a_folder_that_is_named_results_come_first_and_the_packages_are_there_too(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    assert summary("story").heading == summary("story", folder=PACKAGE / "mini").heading
    for name in ("story", "own"):
        assert write_result(name, {"seeds": [9]}, "mini") == tmp_path / "mini" / f"{name}.json"
        assert read_result(name) == {"seeds": [9]}
    assert read_result("words") == read_result("words", folder=PACKAGE / "mini")
    assert {"own", "story", "words"} <= {*available()}


def test_the_package_has_results_of_the_miniature():
    names = set(available("mini"))
    assert {"story", "strength", "mismatch", "methods", "decoupling"} <= names
    for name in names:
        assert read_result(name)["seeds"], name


def test_what_is_not_there_or_damaged_is_said_in_one_line(tmp_path):
    write_result("story", {}, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="no result 'words' .*story.*bench words") as error:
        read_result("words", folder=tmp_path)
    assert "\n" not in str(error.value)
    (tmp_path / "story.json").write_text('{"a": ')
    with pytest.raises(CannotRead, match="story.json is no JSON"):
        read_result("story", folder=tmp_path)


def test_a_wheel_has_the_results(tmp_path):
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = set(wheel.namelist())
        words = json.loads(wheel.read("shortcut_nb/results/mini/words.json"))
    ours = {str(path.relative_to(PACKAGE.parent.parent)) for path in PACKAGE.rglob("*.json")}
    assert ours and ours <= names
    assert "shortcut_nb/notebooks/00_quickstart.ipynb" in names
    assert words == read_result("words")


def test_a_list_of_numbers_is_a_line_and_so_is_a_contrast(tmp_path):
    """So that a measurement that grows changes as many lines as it has columns."""
    frame = {
        "subject": ["a, b", "c [d]", "e\n f"],
        "quality": [0.1, float("nan"), 2e-7],
        "none": [],
    }
    content = {"frame": frame, "contrasts": [{"weights": {"a": 1.0}}, {}], "axes": ["é", None]}
    path = write_result("small", content, folder=tmp_path)
    lines = path.read_text("utf-8").splitlines()
    assert '  "quality": [0.1, null, 2e-07],' in lines and len(lines) == 12
    assert '  {"weights": {"a": 1.0}},' in lines
    again = read_result("small", folder=tmp_path)
    assert again == content | {"frame": frame | {"quality": [0.1, None, 2e-7]}}


@pytest.mark.parametrize(
    "values, kept",
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b", "a", "b"], {"words": ["a", "b"], "rows": [0, 1, 0, 1]}),
        (["a", "a", "b", "b"], {"words": ["a", "b"], "rows": {"times": 2, "values": [0, 1]}}),
        ([0.1, None, 2.0, 0.1], [0.1, None, 2.0, 0.1]),
        ([0.1, 0.1, None, None], {"times": 2, "values": [0.1, None]}),
        ([0.1, 0.1, None], [0.1, 0.1, None]),
        ([7] * 4, {"times": 4, "values": [7]}),
        ([1, True], [1, True]),
        ([0.0, -0.0], [0.0, -0.0]),
        ([], {"words": [], "rows": []}),
    ],
)
def test_a_column_is_the_same_after_it_was_packed(values, kept):
    again = json.loads(json.dumps(packed(values)))
    assert again == kept
    assert list(map(repr, unpacked(again))) == list(map(repr, values))


def test_a_measurement_of_the_format_before_is_read(tmp_path):
    """It kept each word once as well, but wrote out what comes several times in a row."""
    kept = Measurement.read("hidden")
    path = kept.write(tmp_path)
    content = json.loads(path.read_text("utf-8")) | {"format": 3}
    for name, column in content["frame"].items():
        words = isinstance(column, dict) and "words" in column
        rows = column | {"rows": unpacked(column["rows"])} if words else unpacked(column)
        content["frame"][name] = rows
    write_result("hidden", content, folder=tmp_path)
    pd.testing.assert_frame_equal(Measurement.read("hidden", folder=tmp_path).frame, kept.frame)


def test_a_measurement_is_read_as_it_was_written(tmp_path):
    """Columns of text take a third of a file when they are written row by row."""
    kept = Measurement.read("decoupling")
    path = kept.write(tmp_path)
    content = json.loads(path.read_text("utf-8"))
    pd.testing.assert_frame_equal(Measurement.read("decoupling", folder=tmp_path).frame, kept.frame)
    small = path.stat().st_size
    content["frame"] = {name: unpacked(column) for name, column in content["frame"].items()}
    write_result("decoupling", content, folder=tmp_path)
    assert small < 0.8 * path.stat().st_size
