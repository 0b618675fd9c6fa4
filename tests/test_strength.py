"""The strength table: harms, intervals, and the verdict against both noises."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.experiments import strength
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.report import means, paired
from shortcut_nb.experiments.shipped import shipped


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


def kept(frame, folder):
    """What bench keeps of the frame, read as the notebooks do."""
    pictures = frame.rename(columns={"prompt": "sheet"})
    Measurement.of("strength", pictures).write(folder)
    return shipped("strength", folder=folder)


def test_what_bench_kept_gives_the_table(tmp_path):
    some = frame(LEVELS).assign(psnr=lambda f: 20 + f["subject"].str[1:].astype(float))
    some["memory_mib"] = some["condition"].map({"aspl": 900.0})
    content = kept(some, tmp_path)
    assert content["samples"] == 4 and len(content["subjects"]) == 6
    assert content["eps"] == "16/255" and len(content["points"]) == 6 * len(LEVELS)
    rows = pd.DataFrame(content["attacks"]).set_index("attack")
    assert set(rows.index) == set(LEVELS)
    assert rows.loc["aspl", "psnr_low"] < 22.5 < rows.loc["aspl", "psnr_high"]
    read = strength.visibility(rows)
    assert read.loc["aspl", "psnr"].startswith("22.50 [2")
    assert read.loc["aspl", "memory_mib"] == "900" and read.loc["sds", "memory_mib"] == ""
    assert read.loc["aspl", "attack_seconds"] == "60 [60, 900]"
    assert strength.visibility(rows.drop(columns=["psnr_low"])).loc["aspl", "psnr"] == "22.50"
    straight = strength.table(strength.points(some)).set_index("attack")
    assert rows.loc["aspl", "quality_low"] == pytest.approx(
        straight.loc["aspl", "quality_low"], abs=1e-5
    )


def test_the_table_for_reading_is_sorted_and_says_intervals():
    read = strength.harms(strength.table(strength.points(frame(LEVELS))).set_index("attack"))
    assert list(read.index) == ["aspl", "noise", "sds", "noise-uniform", "clean"]
    assert read.loc["aspl", "quality"].startswith("-0.5") and "[-0.5" in read.loc["aspl", "quality"]
    assert read.loc["clean", "quality"] == ""


@pytest.mark.slow
def test_peak_memory_is_measured_in_a_process_of_its_own():
    assert strength.quick("noise") == {} and strength.quick("aspl")["rounds"] == 1
    assert 200 < strength.memory_of("advdm") < 8000  # MiB
    with pytest.raises(RuntimeError, match="steps"):
        strength.memory_of("advdm", settings={"steps": -1})
