"""The strength table: harms, intervals, and the verdict against both noises."""

import json

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.experiments import strength
from shortcut_nb.experiments.report import means, paired
from shortcut_nb.experiments.shipped import earlier, shipped


def frame(levels, subjects=6, spread=0.01):
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for condition, level in levels.items():
            for image in range(4):
                value = level + 0.05 * i + spread * rng.normal()
                rows.append({"subject": f"s{i}", "seed": 0, "eps": "16/255", "image": image,
                             "condition": condition, "prompt": "instance", "ims_missing": value,
                             "quality": value, "texture": 1 - value,
                             "attack_seconds": 900.0 if i == 0 else 60.0}
                            | dict.fromkeys(strength.SIZES, 1.0))  # fmt: skip
    return pd.DataFrame(rows)


def peaks(**by_attack):
    rows = [(name, value) for name, values in by_attack.items() for value in values]
    return pd.DataFrame(rows, columns=["attack", "memory_mib"])


LEVELS = {"clean": 0.8, "noise": 0.6, "noise-uniform": 0.7, "aspl": 0.3, "sds": 0.65}


def test_seconds_are_not_those_of_one_slow_run():
    found = strength.sizes(frame(LEVELS))
    assert set(found["attack_seconds"]) == {60.0}
    # Of six runs the 95 % interval of the median is the lowest and the highest.
    assert set(found["attack_seconds_low"]) == {60.0}
    assert set(found["attack_seconds_high"]) == {900.0}


def test_every_attack_has_a_cell():
    made = strength.cells("16/255")
    # Attackers who know the defence are another experiment.
    known = {name for name in ATTACKS if name.startswith("adaptive-")}
    assert set(made) == {"clean", *ATTACKS, *strength.VARIANTS} - known
    assert not any(name.startswith("e-") for name in strength.cells("8/255", ensemble=False))
    assert dict(made["advdm−"].settings) == {"direction": -1}


def test_harm_and_the_verdict_against_noise():
    found = strength.table(strength.points(frame(LEVELS))).set_index("attack")
    assert found.loc["aspl", "ims_missing_harm"] == pytest.approx(-0.5, abs=0.02)
    assert (
        found.loc["aspl", "ims_missing_low"] < -0.48 < found.loc["aspl", "ims_missing_high"] + 0.05
    )
    assert found.loc["aspl", "beats_noise"]
    assert not found.loc["sds", "beats_noise"]  # weaker than one of the two
    assert pd.isna(found.loc["noise", "beats_noise"])


def test_differences_are_within_subjects():
    """Subjects differ by more than conditions do: pairing must take that out."""
    each = paired(frame(LEVELS), "quality", "aspl", "clean")
    assert len(each) == 6 and each.std() < 0.02
    spread = means(frame(LEVELS), ["condition", "eps"], ["quality"]).set_index("condition")
    assert spread.loc["aspl", "high"] - spread.loc["aspl", "low"] > 0.1
    assert len(paired(frame(LEVELS), "quality", "aspl", "nothing")) == 0


def test_report_writes_the_table_and_figures(tmp_path):
    strength.report(frame(LEVELS), "16/255", tmp_path)
    content = json.loads((tmp_path / "strength.json").read_text())
    assert {row["attack"] for row in content["attacks"]} == set(LEVELS)
    assert content["samples"] == 4 and len(content["subjects"]) == 6
    assert (tmp_path / "strength_quality.png").stat().st_size > 1000


def test_sizes_have_intervals_where_each_subject_is_known(tmp_path):
    some = frame(LEVELS).assign(psnr=lambda f: 20 + f["subject"].str[1:].astype(float))
    strength.report(some, "16/255", tmp_path, peaks(aspl=[900.0, 950.0, 890.0]))
    rows = pd.DataFrame(shipped("strength", folder=tmp_path)["attacks"]).set_index("attack")
    assert rows.loc["aspl", "psnr_low"] < 22.5 < rows.loc["aspl", "psnr_high"]
    read = strength.visibility(rows)
    assert read.loc["aspl", "psnr"].startswith("22.50 [2")
    assert read.loc["aspl", "memory_mib"] == "900 [890, 950]"
    assert read.loc["aspl", "attack_seconds"] == "60 [60, 900]"
    assert read.loc["sds", "memory_mib"] == ""
    assert strength.visibility(rows.drop(columns=["psnr_low"])).loc["aspl", "psnr"] == "22.50"


def test_the_table_for_reading_is_sorted_and_says_intervals():
    read = strength.harms(strength.table(strength.points(frame(LEVELS))).set_index("attack"))
    assert list(read.index) == ["aspl", "noise", "sds", "noise-uniform", "clean"]
    assert read.loc["aspl", "quality"].startswith("-0.5") and "[-0.5" in read.loc["aspl", "quality"]
    assert read.loc["clean", "quality"] == ""


def test_peak_memory_is_measured_in_a_process_of_its_own():
    assert strength.quick("noise") == {} and strength.quick("aspl")["rounds"] == 1
    assert 200 < strength.memory_of("advdm") < 8000  # MiB
    with pytest.raises(RuntimeError, match="steps"):
        strength.memory_of("advdm", settings={"steps": -1})


def test_memory_goes_to_the_table(tmp_path):
    strength.report(frame(LEVELS), "16/255", tmp_path, peaks(aspl=[900.0]))
    rows = json.loads((tmp_path / "strength.json").read_text())["attacks"]
    assert {row["attack"]: row["memory_mib"] for row in rows}["aspl"] == 900.0


def test_an_attack_joins_the_table_that_is_there(tmp_path):
    """Added one by one or measured at once: the same table."""
    whole = frame(LEVELS)
    strength.report(whole, "16/255", tmp_path / "once", peaks(aspl=[900.0], sds=[800.0]))
    late = whole["condition"].isin(["clean", "sds"])
    strength.report(whole[whole["condition"] != "sds"], "16/255", tmp_path, peaks(aspl=[900.0]))
    before = earlier("strength", "mini", tmp_path, {"eps": "16/255", "samples": 4})
    strength.report(whole[late], "16/255", tmp_path, peaks(sds=[800.0]), before)
    once, added = (
        pd.DataFrame(shipped("strength", folder=folder)["attacks"]).set_index("attack")
        for folder in (tmp_path / "once", tmp_path)
    )
    assert added.loc["sds", "memory_mib"] == 800.0 and added.loc["aspl", "memory_mib"] == 900.0
    pd.testing.assert_frame_equal(added, once, check_like=True)


def test_what_another_machine_measured_keeps_its_distance_from_clean(tmp_path):
    whole = frame(LEVELS)
    strength.report(whole[whole["condition"] != "sds"], "16/255", tmp_path)
    before = shipped("strength", folder=tmp_path)
    late = whole[whole["condition"].isin(["clean", "sds"])]
    strength.report(late.assign(quality=late["quality"] + 0.05), "16/255", tmp_path, None, before)
    old = pd.DataFrame(before["attacks"]).set_index("attack")
    new = pd.DataFrame(shipped("strength", folder=tmp_path)["attacks"]).set_index("attack")
    for column in ("quality_harm", "quality_low", "texture_harm"):
        assert new.loc["aspl", column] == pytest.approx(old.loc["aspl", column])
    assert new.loc["clean", "quality"] == pytest.approx(old.loc["clean", "quality"] + 0.05)
    assert new.loc["sds", "quality_harm"] == pytest.approx(-0.15, abs=0.02)


def test_a_table_measured_otherwise_is_not_added_to(tmp_path):
    strength.report(frame(LEVELS), "16/255", tmp_path)
    with pytest.raises(ValueError, match=r"samples = 4, this run with 8.*--add"):
        earlier("strength", "mini", tmp_path, {"eps": "16/255", "samples": 8})
    with pytest.raises(FileNotFoundError, match="bench strength"):
        earlier("strength", "mini", tmp_path / "none", {})
