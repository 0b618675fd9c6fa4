"""The strength of attacks: harms, intervals, and the verdict against both noises."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.peaks import attack_memory, quick
from shortcut_nb.experiments.questions import strength
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting.replicate import measure
from shortcut_nb.reporting.strength import by_attack, read
from shortcut_nb.reporting.summary import checked, summary
from shortcut_nb.store import Store

LEVELS = {"clean": 0.8, "noise": 0.6, "noise-uniform": 0.7, "aspl": 0.3, "sds": 0.65}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


def frame(levels, subjects=6, spread=0.01):
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for condition, level in levels.items():
            for image in range(4):
                value = level + 0.05 * i + spread * rng.normal()
                place = {"subject": f"s{i}", "seed": 0, "eps": "16/255", "image": image}
                scores = {"ims_missing": value, "quality": value, "texture": 1 - value}
                rows.append(place | scores | {"condition": condition, "psnr": 20.0 + i})
    return pd.DataFrame(rows)


def measured(levels=LEVELS, **how):
    contrasts = tuple(strength.contrasts(list(levels)))
    return Measurement.of("strength", frame(levels, **how), contrasts=contrasts)


def test_every_attack_has_a_cell():
    mini = load_profile("mini")
    cells = strength.cells(mini)
    # Attackers who know the defence are another experiment.
    known = {name for name in ATTACKS if name.startswith("adaptive-")}
    assert set(cells) == {"clean", *ATTACKS, *strength.VARIANTS} - known
    alone = mini.model_copy(update={"ensemble": []})
    assert not any(name.startswith("e-") for name in strength.cells(alone))
    assert cells["advdm−"].settings == {"direction": -1}
    assert set(strength.cells(mini, "8/255", ["aspl"])) == {"clean", "aspl"}
    with pytest.raises(
        UserError, match="no attack .asp.; the nearest are aspl.* There are aspl, t-a"
    ):
        strength.cells(mini, names=["asp"])


def test_harm_and_the_verdict_against_noise():
    table = by_attack(measured()).set_index("attack")
    assert list(table.index) == ["aspl", "noise", "sds", "noise-uniform", "clean"]
    aspl = table.loc["aspl"]
    assert aspl["ims_missing_change"] == pytest.approx(-0.5, abs=0.02)
    # Subjects differ by more than attacks do: pairing takes that out.
    assert -0.55 < aspl["quality_change_low"] < aspl["quality_change_high"] < -0.45
    assert table.loc["aspl", "beats_noise"] is True
    assert table.loc["sds", "beats_noise"] is False  # weaker than one of the two
    assert pd.isna(table.loc["noise", "beats_noise"]) and pd.isna(
        table.loc["clean", "quality_change"]
    )


def test_without_noise_nothing_beats_it():
    table = by_attack(measured({"clean": 0.8, "aspl": 0.3})).set_index("attack")
    assert table.loc["aspl", "beats_noise"] is False


def test_what_bench_kept_is_read(tmp_path):
    measured().write(tmp_path)
    pd.testing.assert_frame_equal(
        by_attack(read(folder=tmp_path)), by_attack(measured()), atol=1e-5
    )


def test_the_shipped_result_is_read():
    table = by_attack(read()).set_index("attack")
    assert len(table) == 23
    assert table.loc["aspl", "beats_noise"] is True
    assert table.loc["clip-shift", "beats_noise"] is True  # in likeness alone, by 0.02
    assert table.loc["aspl", "quality_change"] == pytest.approx(-0.55, abs=0.01)
    assert table.loc["aspl", ["psnr", "attack_seconds"]].notna().all()


def test_means_are_of_the_identifiers_samples_and_the_order_that_of_the_change():
    kept = read()
    table = by_attack(kept).set_index("attack")
    own = kept.frame[(kept.frame["sheet"] == "instance") & (kept.frame["condition"] == "aspl")]
    assert table.loc["aspl", "quality"] == pytest.approx(own["quality"].mean())
    assert table["quality_change"].dropna().is_monotonic_increasing


def test_the_question_runs(lab, tmp_path):
    small = {"training": {"steps": 1, "class_images": 4, "batch_size": 1}}
    whole = strength.experiment(lab.profile, "8/255", ["noise"])
    cells = {name: cell.model_copy(update=small) for name, cell in whole.cells.items()}
    tried = whole.model_copy(update={"cells": cells})
    rows = measure(tried, Pipeline(lab, Store(tmp_path)), "mini:held-out/0", 0, 1)
    noise = rows[rows["condition"] == "noise"]
    assert set(noise["linf"].round()) == {8} and set(rows["sheet"]) == {"instance", "class"}
    about = Measurement.of("strength", rows, contrasts=tried.contrasts)
    assert by_attack(about).set_index("attack").loc["noise", "quality_change"] is not None


@pytest.mark.slow
def test_peak_memory_is_measured_in_a_process_of_its_own():
    assert quick("noise") == {} and quick("aspl")["rounds"] == 1
    assert 200 < attack_memory("advdm") < 8000  # MiB
    with pytest.raises(RuntimeError, match="steps"):
        attack_memory("advdm", settings={"steps": -1})


def live(quality, texture):
    """What notebook 03 measures of one person whom the shipped result never saw."""
    rows = [
        {"condition": name, "subject": "mini:held-out/20", "seed": 0, "sheet": "instance",
         "quality": quality[name], "texture": texture[name], "ims_missing": 0.8}
        for name in ("clean", "noise", "aspl")
    ]  # fmt: skip
    asked = strength.contrasts(["clean", "noise", "aspl"])
    return checked(pd.DataFrame(rows), asked, summary("strength"), ["mini:held-out/20"])


def test_the_claim_check_of_the_notebook_fails_without_the_effect():
    textures = {"clean": 0.5, "noise": 0.6, "aspl": 5.0}
    beside = live({"clean": 0.97, "noise": 0.96, "aspl": 0.4}, textures)
    asserted = set(beside.loc[beside["asserted"], "contrast"])
    assert {
        strength.words("aspl", metric, "noise") for metric in ("quality", "texture")
    } <= asserted
    with pytest.raises(AssertionError, match="aspl changes quality more than noise"):
        live({"clean": 0.97, "noise": 0.3, "aspl": 0.4}, textures)
    with pytest.raises(AssertionError, match="aspl changes texture more than clean pictures"):
        live({"clean": 0.97, "noise": 0.96, "aspl": 0.4}, textures | {"aspl": 0.4})


def test_what_an_attack_took_is_told_of_the_first_seed():
    once = frame(LEVELS)
    rows = [once.assign(attack_seconds=3.0), once.assign(seed=1, attack_seconds=99.0)]
    contrasts = tuple(strength.contrasts(list(LEVELS)))
    both = Measurement.of("strength", pd.concat(rows, ignore_index=True), contrasts=contrasts)
    table = by_attack(both).set_index("attack")
    assert table.loc["aspl", "attack_seconds"] == 3.0
