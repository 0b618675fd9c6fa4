"""The purification table: realignment, faithfulness, what is restored and what is left."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.cells import Cell
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.peaks import peaks, purifier_memory, quick_purifier
from shortcut_nb.experiments.process_memory import own_peak, peak_memory
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.questions.purification import available, left, restored
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import numbers, purification
from shortcut_nb.reporting.figures import left_after
from shortcut_nb.reporting.summary import checked, summary, summary_of
from shortcut_nb.store import Store

from .question_frames import all_levels, question_frame

LEVELS = {"none | none": 0.9, "aspl | none": 0.3, "aspl | vae": 0.7, "aspl | jpeg": 0.2}
SHIFTS = {"none | none": 0.0, "aspl | none": 0.5, "aspl | vae": 0.1, "aspl | jpeg": 0.6}


@pytest.fixture(scope="module")
def question():
    return open_experiment("purification", load_profile("mini"))


@pytest.fixture(scope="module")
def found(question):
    levels = {(condition, "instance"): level for condition, level in LEVELS.items()}
    frame = question_frame(question, levels)
    kept = {"psnr": 25.0, "ssim": 0.9, "perceptual": 0.1, "likeness": 0.95, "purify_seconds": 0.2}
    frame = frame.assign(shift=frame["condition"].map(SHIFTS), memory_mib=700.0, **kept)
    return summary_of(Measurement.of("purification", frame, contrasts=question.contrasts))


def test_realigned_restored_and_left(found):
    table = purification.table(found).set_index("purifier")
    assert set(table.index) == {"none", "vae", "jpeg"}  # clean pictures are no row
    assert table.loc["vae", "realigned"] == pytest.approx(0.8)
    assert table.loc["jpeg", "realigned"] == pytest.approx(-0.2)
    assert table.loc["none", "realigned"] == 0
    assert table.loc["vae", "ims_missing_restored"] == pytest.approx(0.4, abs=0.01)
    assert table.loc["vae", "ims_missing_left"] == pytest.approx(-0.2, abs=0.01)
    assert table.loc["vae", "texture_restored"] == pytest.approx(-0.4, abs=0.01)
    row = table.loc["jpeg"]
    assert row["quality_restored_low"] < row["quality_restored"] < row["quality_restored_high"] < 0
    assert pd.isna(table.loc["none", "quality_restored"]) and row["memory_mib"] == 700


def test_verdicts_say_what_came_back(found):
    assert found.verdict(restored("vae", "quality", "aspl"))["verdict"] == "confirmed"
    assert found.verdict(restored("vae", "texture", "aspl"))["verdict"] == "confirmed"
    assert found.verdict(restored("jpeg", "quality", "aspl"))["verdict"] == "refuted"
    assert found.verdict(left("vae", "quality", "aspl"))["verdict"] == "refuted"  # 0.2 is missing
    assert found.primary()["contrast"] == restored("restorer", "quality", "aspl")


def test_the_question_has_the_cells_of_its_contrasts(question):
    levels = {place: level for place, level in all_levels(question).items()
              if place[1] == "instance"}  # fmt: skip
    judged = judge(question_frame(question, levels, people=2, samples=1), question.contrasts)
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1


def test_the_shipped_measurement_is_read():
    table = purification.table(summary("purification"))
    rows = table.set_index(["attack", "purifier"])
    restorer = rows.loc[("aspl", "restorer")]
    assert 0 < restorer["quality_restored_low"] < restorer["quality_restored"]
    assert rows.loc[("aspl", "none"), "realigned"] == 0 and rows["perceptual"].notna().all()


def test_available_are_those_with_weights(lab):
    names = available(lab.profile)
    assert {"none", "jpeg", "vae", "ldiffpure", "impress", "restorer"} <= set(names)
    have = set(lab.profile.models())
    assert ("sr" in names) == ("purifier:upscaler" in have)
    assert ("diffpure" in names) == ("purifier:pixel" in have) == ("pdmpure" in names)
    assert ("codesr" in names) == ("purifier:upscaler" in have)
    assert "face-restorer" not in names


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    assert quick_purifier("codesr") == {"steps": 2}
    assert quick_purifier("gridpure") == {"steps": 2, "iterations": 1}
    assert quick_purifier("ldiffpure+sr") == {}  # both have steps
    assert 100 < purifier_memory("jpeg") < 20_000
    with pytest.raises(RuntimeError, match="unknown purifier"):
        peak_memory("lab.purifier('nope')")
    with pytest.raises(RuntimeError, match="ended by signal 9"):
        peak_memory("import os; os.kill(os.getpid(), 9)")


@pytest.mark.slow
def test_memory_is_measured_once_and_kept(tmp_path, monkeypatch):
    cells = {"clean": Cell(), "noisy": Cell(attack="noise"), "pure": Cell(purifier="jpeg"),
             "both": Cell(attack="noise", purifier="jpeg")}  # fmt: skip
    store, seen = Store(tmp_path), []
    first = peaks(cells, "mini", 1, store, lambda info: seen.append(info.about))
    assert set(first) == {"noisy", "pure", "both"} and first["pure"] == first["both"]
    assert seen == ["noise", "jpeg"] and all(100 < mib < 20_000 for mib in first.values())
    again = "shortcut_nb.experiments.peaks.peak_memory"
    monkeypatch.setattr(again, lambda *_: pytest.fail("measured again"))
    assert peaks(cells, "mini", 1, store) == first


def test_memory_that_cannot_be_measured_is_said_and_left_open(tmp_path, monkeypatch, caplog):
    def killed(statement, profile):
        if "jpeg" in statement:
            raise RuntimeError("Killed")
        return 300.0

    monkeypatch.setattr("shortcut_nb.experiments.peaks.peak_memory", killed)
    cells = {"noisy": Cell(attack="noise"), "pure": Cell(purifier="jpeg")}
    assert peaks(cells, "mini", 1, Store(tmp_path)) == {"noisy": 300.0}
    assert "peak memory of jpeg was not measured: Killed" in caplog.text


def test_two_settings_of_one_purifier_are_measured_apart(tmp_path, monkeypatch):
    """Only the process is left out: what it would run is looked at."""
    seen = []

    def peak(statement, profile):
        seen.append(statement)
        return 100.0 * len(seen)

    monkeypatch.setattr("shortcut_nb.experiments.peaks.peak_memory", peak)
    cells = {
        "usual": Cell(purifier="gridpure"),
        "long": Cell(purifier="gridpure", purifying={"iterations": 9}),
    }
    assert peaks(cells, "mini", 1, Store(tmp_path)) == {"usual": 100.0, "long": 200.0}
    assert "'iterations': 1" in seen[0] and "'iterations': 9" in seen[1]


def test_memory_is_measured_where_nothing_can_be_kept(tmp_path, monkeypatch, caplog):
    (tmp_path / "store").write_text("a file")
    again = "shortcut_nb.experiments.peaks.peak_memory"
    monkeypatch.setattr(again, lambda *_: 300.0)
    store = Store(tmp_path / "store")
    assert peaks({"pure": Cell(purifier="jpeg")}, "mini", 3, store) == {"pure": 300.0}
    assert "peak memory of jpeg could not be kept" in caplog.text


def test_what_is_missing_is_told_by_score_the_best_first(found):
    table = numbers.purifiers(found)
    assert list(table["name"].unique()) == ["VAE", "no purifier", "JPEG"]
    own = table.set_index(["score", "name"])["mean"]
    assert own["quality", "VAE"] == pytest.approx(-0.2, abs=0.01)
    assert own["identity match", "JPEG"] == pytest.approx(-0.7, abs=0.01)
    drawn = left_after(found)
    assert set(drawn["panel"]) == {"quality, ASPL", "identity match, ASPL"}


def test_families():
    names = ["jpeg", "vae", "impress", "diffpure", "pdmpure", "restorer", "codesr", "none"]
    assert [purification.family(name) for name in names] == [
        "filter", "latent model", "latent model", "pixel model", "pixel model", "restoration",
        "restoration", "none",
    ]  # fmt: skip


def test_live_on_one_subject(lab, subject, tmp_path):
    pipeline = Pipeline(lab, Store(tmp_path))
    names = ["none", "gaussian", "restorer"]
    noisy = purification.live(pipeline, subject, names, attack="noise", eps="16/255")
    noisy = noisy.set_index("purifier")
    assert list(noisy.index) == names and noisy.loc["none", "realigned"] == 0
    assert noisy.loc["restorer", "realigned"] > 0.2
    assert noisy.loc["restorer", "psnr"] > noisy.loc["none", "psnr"]
    clean = purification.live(pipeline, subject, names).set_index("purifier")
    assert "realigned" not in clean and clean.loc["none", "psnr"] == 100
    assert clean.loc["restorer", "psnr"] > clean.loc["gaussian", "psnr"]


def test_a_small_process_begun_by_a_large_one_is_small():
    """The system's own count of a child's peak would be this process's, 600 MiB and more."""
    code = "from shortcut_nb.experiments.process_memory import own_peak; print(own_peak())"
    weight = np.ones(600 * 2**17)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert weight.nbytes / 2**20 == 600
    assert 5 < float(done.stdout) < 500 < own_peak()


def live(question, **quality):
    """What notebook 06 measures of one person whom the shipped result never saw."""
    levels = {"none": 0.4, "restorer": 0.97, "codesr": 0.95} | quality
    frame = question_frame(
        question,
        {(f"aspl | {name}", "instance"): level for name, level in levels.items()},
        people=1,
    )
    return checked(frame, question.contrasts, summary("purification"), ["mini:held-out/13"])


def test_the_claim_check_of_the_notebook_fails_without_the_effect(question):
    beside = live(question)
    asserted = set(beside.loc[beside["asserted"], "contrast"])
    assert {restored(name, "quality", "aspl") for name in ("restorer", "codesr")} <= asserted
    with pytest.raises(AssertionError, match="restorer restores quality under aspl"):
        live(question, restorer=0.3)
    with pytest.raises(AssertionError, match="codesr restores quality under aspl"):
        live(question, codesr=0.3)
