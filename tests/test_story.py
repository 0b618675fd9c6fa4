"""The claims: signs, intervals, verdicts, and a check that fails when a sign is wrong."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments import story
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.shipped import shipped
from shortcut_nb.profile import load_profile
from shortcut_nb.results import write_result


def frame(levels, prompt="instance", subjects=6):
    rows = []
    for i in range(subjects):
        for condition, level in levels.items():
            for image in range(3):
                value = level + 0.01 * i + 0.001 * image
                rows.append({"subject": f"s{i}", "seed": 0, "eps": "16/255", "image": image,
                             "condition": condition, "prompt": prompt, "ims_missing": value,
                             "quality": value, "noise": 1 - value,
                             "texture": 1 - value})  # fmt: skip
    return pd.DataFrame(rows)


LEVELS = {"clean": 0.8, "random noise": 0.7, "protected": 0.2, "purified": 0.6, "cdl": 0.1}


def by_name(data):
    return {row["claim"]: row for row in story.claims(data)}


def test_differences_and_verdicts():
    found = by_name(frame(LEVELS))
    assert found["protection lowers identity"]["difference"] == pytest.approx(-0.6)
    assert found["protection lowers identity"]["holds"] is True
    assert found["purification restores quality"]["holds"] is True
    assert found["CDL restores quality"]["holds"] is False
    assert found["CDL restores quality"]["agreeing"] == 0.0
    assert "both restore quality" not in found


def test_an_interval_around_zero_decides_nothing():
    data = frame({"clean": 0.5, "protected": 0.5})
    rng = np.random.default_rng(0)
    data["quality"] += rng.normal(0, 0.1, len(data))
    assert by_name(data)["protection lowers quality"]["holds"] is None


def test_the_negative_prompt_is_a_condition_of_its_own():
    control = frame({"protected": 0.5}, prompt="negative")
    found = by_name(pd.concat([frame(LEVELS), control], ignore_index=True))
    assert found["CDL beats its negative prompt alone"]["difference"] == pytest.approx(-0.4)


def test_noise_follows_the_identifier():
    own = frame({"clean": 0.9, "protected": 0.3})
    cls = frame({"clean": 0.9, "protected": 0.8}, prompt="class")
    found = by_name(pd.concat([own, cls], ignore_index=True))
    for score in ("noise", "texture"):
        assert found[f"{score} follows V*, not the class"]["difference"] == pytest.approx(0.5)


def test_the_check_fails_on_a_wrong_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    write_result("story", {"claims": story.claims(frame(LEVELS))})
    table = story.check_claims(frame(LEVELS, subjects=1), "16/255").set_index("claim")
    assert table.loc["CDL restores quality", "verdict"] == "refuted"
    assert not table.loc["CDL restores quality", "asserted"]
    with pytest.raises(AssertionError, match="protection lowers identity"):
        story.check_claims(frame(LEVELS | {"protected": 0.9}, subjects=1), "16/255")
    write_result("story", {"claims": story.claims(frame(LEVELS, subjects=2))})
    assert not story.check_claims(frame(LEVELS | {"protected": 0.9}), "16/255")["asserted"].any()


def test_a_run_of_another_profile_or_budget_is_shown_and_not_held_to_the_verdicts(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    people = {"subjects": ["mini:held-out/0"], "seeds": [0]}
    write_result("story", people | {"claims": story.claims(frame(LEVELS))})
    turned = frame(LEVELS | {"protected": 0.9}, subjects=1)
    name = "protection lowers identity"
    mini, photos = load_profile("mini"), "path/to/photos"
    with pytest.raises(AssertionError, match=name):
        story.check_claims(turned, "16/255", mini, "mini:held-out/7")
    for profile, subject in ((load_profile("sd21"), photos), (mini, photos)):
        table = story.check_claims(turned, "16/255", profile, subject)
        assert table.columns.name == "measured on mini: 1 subjects, 1 seeds"
        shown = table.set_index("claim").loc[name]
        assert (shown["verdict"], shown["asserted"], shown["agrees"]) == ("confirmed", False, False)
    other = story.check_claims(turned.assign(eps="4/255"), "4/255", mini).set_index("claim")
    assert other.loc[name, "here"] == pytest.approx(0.9 - LEVELS["clean"])
    assert other.loc[name, "verdict"] == "" and not other["asserted"].any()


def test_what_bench_kept_gives_the_claims(tmp_path):
    pictures = frame(LEVELS).rename(columns={"prompt": "sheet", "condition": "treatment"})
    pictures["condition"] = pictures["treatment"] + " | " + pictures["eps"]
    Measurement.of("story", pictures).write(tmp_path)
    content = shipped("story", folder=tmp_path)
    assert len(content["subjects"]) == 6 and content["samples"] == 3
    straight = by_name(frame(LEVELS))
    for row in content["claims"]:
        assert row["difference"] == pytest.approx(straight[row["claim"]]["difference"])
        assert row["holds"] is straight[row["claim"]]["holds"]
    assert len(content["claims"]) == len(straight)
