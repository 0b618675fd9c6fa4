"""The purification table: realignment, faithfulness, what is restored and what is left."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments import purification
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.memory import peak_memory
from shortcut_nb.experiments.shipped import shipped
from shortcut_nb.experiments.stages import Stages
from shortcut_nb.metrics import t_mean
from shortcut_nb.store import Store


def frame():
    levels = {"clean": (0.9, 0.0), "aspl | none": (0.3, 0.5), "aspl | vae": (0.7, 0.1),
              "aspl | jpeg": (0.2, 0.6)}  # fmt: skip
    rows = []
    for i in range(6):
        for condition, (score, shift) in levels.items():
            attack, _, purifier = condition.partition(" | ")
            for image in range(3):
                rows.append(
                    dict.fromkeys(purification.FAITHFUL, 1.0)
                    | {"subject": f"s{i}", "seed": 0, "image": image, "condition": condition,
                       "prompt": "instance", "ims_missing": score + 0.02 * i, "quality": score,
                       "texture": 1 - score,
                       "shift": shift, "attack": attack, "purifier": purifier or "none"}
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_realigned_restored_and_left():
    found = purification.table(frame()).set_index("purifier")
    assert found.loc["vae", "realigned"] == pytest.approx(0.8)
    assert found.loc["jpeg", "realigned"] == pytest.approx(-0.2)
    assert found.loc["none", "realigned"] == pytest.approx(0.0)
    assert found.loc["vae", "ims_missing_restored"] == pytest.approx(0.4)
    assert found.loc["vae", "ims_missing_left"] == pytest.approx(-0.2)
    assert found.loc["jpeg", "quality_restored"] == pytest.approx(-0.1)


def test_available_are_those_with_weights(lab):
    names = purification.available(lab)
    assert {"none", "jpeg", "vae", "ldiffpure", "impress", "restorer"} <= set(names)
    have = set(lab.profile.models())
    assert ("sr" in names) == ("purifier:upscaler" in have)
    assert ("diffpure" in names) == ("purifier:pixel" in have) == ("pdmpure" in names)
    assert ("codesr" in names) == ("purifier:upscaler" in have)
    assert "face-restorer" not in names


def test_what_bench_kept_gives_the_table(tmp_path):
    pictures = frame().rename(columns={"prompt": "sheet"}).assign(eps="16/255")
    clean = pictures["condition"] == "clean"
    pictures["condition"] = pictures["condition"].mask(clean, "none | none")
    pictures["attack"] = pictures["attack"].mask(clean, "none")
    pictures["memory_mib"] = pictures["purifier"].map({"vae": 700.0})
    Measurement.of("purification", pictures).write(tmp_path)
    content = shipped("purification", folder=tmp_path)
    rows = pd.DataFrame(content["rows"]).set_index("purifier")
    assert set(rows.index) == {"none", "vae", "jpeg"} and content["samples"] == 3
    straight = purification.table(frame()).set_index("purifier")
    for column in ("realigned", "quality_restored", "ims_missing_left"):
        assert rows[column].to_numpy() == pytest.approx(straight[column].to_numpy(), nan_ok=True)
    assert rows.loc["vae", "memory_mib"] == 700 and pd.isna(rows.loc["jpeg", "memory_mib"])


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    assert purification.quick("codesr") == {"steps": 2}
    assert purification.quick("gridpure") == {"steps": 2, "iterations": 1}
    assert purification.quick("ldiffpure+sr") == {}  # both have steps
    assert 100 < purification.memory_of("jpeg") < 20_000
    with pytest.raises(RuntimeError, match="unknown purifier"):
        peak_memory("lab.purifier('nope')")


def test_faithfulness_and_realignment_have_intervals_over_subjects():
    given = frame()
    given["psnr"] = 20 + given["subject"].str[1:].astype(int)
    vae = given["condition"] == "aspl | vae"
    given.loc[vae, "shift"] += 0.02 * given["subject"].str[1:].astype(int)
    found = purification.table(given).set_index("purifier")
    expected = t_mean(np.arange(20, 26, dtype=float))
    assert found.loc["vae", ["psnr_low", "psnr_high"]].tolist() == pytest.approx(
        [expected.low, expected.high]
    )
    row = found.loc["vae"]
    assert row["realigned"] == pytest.approx(1 - (0.1 + 0.05) / 0.5)
    assert row["realigned_low"] < row["realigned"] < row["realigned_high"]
    shown = purification.readable(found.reset_index())
    assert shown.loc[("aspl", "vae"), "psnr"].startswith("22.5 [")
    assert "memory_mib" not in shown


def measured(**changed):
    """Two attacks; vae is far and strong, jpeg near and weak, codesr between them."""
    gains = {"none": None, "jpeg": 0.1, "codesr": 0.3, "vae": 0.4, "median": 0.05} | changed
    distances = {"none": 0.05, "jpeg": 0.1, "codesr": 0.2, "vae": 0.4, "median": 0.5}
    rows = []
    for attack in ("aspl", "advdm"):
        for name, gain in gains.items():
            row = {"attack": attack, "purifier": name, "perceptual": distances[name]}
            if gain is not None:
                row |= {"quality_restored": gain, "quality_restored_low": gain - 0.04,
                        "quality_restored_high": gain + 0.04}  # fmt: skip
            rows.append(row)
    return pd.DataFrame(rows)


def test_the_front_and_its_verdict():
    found = purification.fronts(measured(), "quality")
    front = found[found["front"]].groupby("attack")["purifier"].agg(list)
    assert front.to_dict() == dict.fromkeys(("aspl", "advdm"), ["none", "jpeg", "codesr", "vae"])
    assert purification.on_front(found, "codesr") is True
    assert purification.on_front(found, "median") is False
    # Behind a rival by less than the intervals: off the front, yet undecided.
    near = purification.fronts(measured(codesr=0.08), "quality")
    assert not near.loc[near["purifier"] == "codesr", "front"].any()
    assert purification.on_front(near, "codesr") is None
    # Worse than leaving pictures as they are.
    assert purification.on_front(purification.fronts(measured(vae=-0.2), "quality"), "vae") is False
    with pytest.raises(KeyError, match="not measured"):
        purification.on_front(found, "sr")


def test_families():
    names = ["jpeg", "vae", "impress", "diffpure", "pdmpure", "restorer", "codesr", "none"]
    assert [purification.family(name) for name in names] == [
        "filter", "latent model", "latent model", "pixel model", "pixel model", "restoration",
        "restoration", "filter",
    ]  # fmt: skip


def test_live_on_one_subject(lab, tmp_path):
    stages = Stages(lab, Store(tmp_path))
    names = ["none", "gaussian", "restorer"]
    noisy = purification.live(stages, "mini:held-out/0", "noise", names, "16/255", 0)
    noisy = noisy.set_index("purifier")
    assert list(noisy.index) == names and noisy.loc["none", "realigned"] == 0
    assert noisy.loc["restorer", "realigned"] > 0.2
    assert noisy.loc["restorer", "psnr"] > noisy.loc["none", "psnr"]
    clean = purification.live(stages, "mini:held-out/0", None, names, "16/255", 0)
    clean = clean.set_index("purifier")
    assert "realigned" not in clean and clean.loc["none", "psnr"] == 100
    assert clean.loc["restorer", "psnr"] > clean.loc["gaussian", "psnr"]
