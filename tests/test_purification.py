"""The purification table: realignment, faithfulness, what is restored and what is left."""

import json

import pandas as pd
import pytest

from shortcut_nb.experiments import purification


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


def test_report(tmp_path):
    purification.report(frame(), "16/255", tmp_path)
    content = json.loads((tmp_path / "purification.json").read_text())
    assert {row["purifier"] for row in content["rows"]} == {"none", "vae", "jpeg"}
    assert (tmp_path / "purification_quality.png").stat().st_size > 1000
