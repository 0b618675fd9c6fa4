"""Adaptive attacks as an experiment: which cells, and what the tables say of known numbers."""

import numpy as np
import pandas as pd
import pytest
import torch
import typer

from shortcut_nb.experiments import adaptive
from shortcut_nb.experiments.climb import climb_table, climbs, read
from shortcut_nb.experiments.shipped import shipped, verdict
from shortcut_nb.experiments.stages import Cell

# Quality by attacker and defence; texture is one minus it.
LEVELS = {
    ("clean", "none"): 0.9, ("clean", "both"): 0.8, ("nothing", "none"): 0.3,
    ("nothing", "both"): 0.8, ("everything", "none"): 0.5,
    ("everything", "both"): 0.6,
}  # fmt: skip


def frame(subjects=6):
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for (who, defence), level in LEVELS.items():
            for eps in ("0/255",) if who == "clean" else ("4/255", "16/255"):
                for image in range(2):
                    value = level + 0.1 * i + 0.002 * rng.normal()
                    rows.append({
                        "condition": f"{who} | {defence} | {eps}", "subject": f"s{i}", "seed": 0,
                        "image": image, "prompt": "instance", "ims_missing": value,
                        "quality": value, "texture": 1 - value, "coarse_texture": 1 - value,
                        "attack_seconds": 60.0,
                        "psnr": 30.0, "ssim": 0.9, "perceptual": 0.1, "linf": 16.0,
                    })  # fmt: skip
    return adaptive.named(pd.DataFrame(rows))


def test_cells_say_what_is_known():
    made = adaptive.cells("16/255", ["2/255", "16/255"], "restorer")
    assert made["clean | both | 0/255"] == Cell(purifier="restorer", prompts="cdl")
    assert made["nothing | none | 2/255"] == Cell("aspl", eps="2/255")
    known = made["purifier + prompts | cdl | 16/255"]
    assert known.attack == "adaptive-aspl" and known.prompts == "cdl" and known.purifier is None
    assert dict(known.settings) == {
        "purifier": "restorer", "prompts": "cdl", "gradient": "full"
    }  # fmt: skip
    everything = dict(made["everything | both, held | 2/255"].settings)
    assert everything == dict(known.settings) | {"surrogate_text_lr": 0.0}
    assert "everything | cdl | 2/255" not in made
    held = made["nothing | cdl, held | 16/255"]
    assert held.trainer == "cdl-dreambooth" and dict(held.training)["text_lr"] == 0
    assert "prompts | none | 2/255" not in made and "prompts | none | 16/255" in made
    full = made["purifier (full gradient) | none | 16/255"]
    assert dict(full.settings)["gradient"] == "full"
    assert "purifier (full gradient)" not in adaptive.knowledge("jpeg")


def test_a_part_can_be_taken_and_is_checked():
    some = adaptive.cells("16/255", ["8/255"], "jpeg", ["nothing"], ["none"])
    assert list(some) == [
        "clean | none | 0/255", "nothing | none | 16/255", "nothing | none | 8/255"
    ]  # fmt: skip
    with pytest.raises(typer.BadParameter, match="cdl; both; cdl, held; both, held"):
        adaptive.cells("16/255", [], "jpeg", None, ["prayer"])
    with pytest.raises(typer.BadParameter, match="prompts; everything"):
        adaptive.cells("16/255", [], "jpeg", ["the time"])


def test_every_attacker_can_be_made(lab):
    for settings in adaptive.knowledge(lab.profile.purifier).values():
        cell = adaptive.attacked(Cell(), "4/255", settings)
        made = lab.attack(cell.attack, eps=cell.eps, **dict(cell.settings))
        assert str(made.eps) == "4/255"


def test_harm_and_gain_are_against_the_same_defence():
    found = adaptive.table(frame()).set_index(["knowledge", "defence", "eps", "score"])
    row = found.loc[("everything", "both", "16/255", "quality")]
    assert row["harm"] == pytest.approx(-0.2, abs=0.01)
    assert verdict(row["harm_holds"]) == "confirmed"
    assert row["gain"] == pytest.approx(-0.2, abs=0.01)
    assert verdict(row["gain_holds"]) == "confirmed"
    wasted = found.loc[("everything", "none", "4/255", "texture")]
    assert wasted["gain"] == pytest.approx(-0.2, abs=0.01)
    assert verdict(wasted["gain_holds"]) == "refuted"
    assert pd.isna(found.loc[("nothing", "none", "4/255", "quality"), "gain"])
    read = adaptive.against(adaptive.table(frame()), "quality")
    assert list(read.columns) == ["4/255", "16/255"]
    assert read.loc[("both", "everything"), "16/255"].startswith("-0.20 [-0.2")
    assert read.loc[("both", "everything"), "16/255"].endswith("confirmed")
    spent = adaptive.costs(frame())
    assert len(spent) == 4 and (spent["attack_seconds"] == 60).all()


def climbed(subjects=6):
    level = {"clean": 0.0, "nothing": 0.06, "everything": 0.07}
    rows = [{"knowledge": who, "pictures": kind, "subject": f"s{i}", "seed": 0, "psnr": 25.0,
             "loss": rise + 0.01 * i + (kind == "purified") * 0.02}
            for i in range(subjects) for who, rise in level.items()
            for kind in ("as they are", "purified")]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_loss_behind_a_purifier_is_measured_against_purified_clean_pictures():
    found = climb_table(climbed()).set_index(["knowledge", "pictures", "score"])
    row = found.loc[("everything", "purified", "loss")]
    assert row["mean"] == pytest.approx(0.115) and row["rise"] == pytest.approx(0.07)
    assert row["gain"] == pytest.approx(0.01) and verdict(row["gain_holds"]) == "confirmed"
    assert pd.isna(found.loc[("clean", "purified", "loss"), "rise"])
    assert pd.isna(found.loc[("nothing", "purified", "loss"), "gain"])
    table = read(found.reset_index()).loc["purified"]
    assert table.loc["everything", "rise of the loss"].startswith("0.070 [0.0")
    assert table.loc["nothing", "gain"] == "" and table.loc["clean", "psnr"] == 25.0


def test_what_a_defender_trains_on_is_measured(lab):
    cells = {("clean", "as they are"): Cell(), ("clean", "purified"): Cell(purifier="restorer"),
             ("noise", "purified"): Cell("noise", purifier="restorer")}  # fmt: skip
    rows = climbs(cells, lab.profile.subjects[:1], [0], workers=0).set_index(
        ["knowledge", "pictures"]
    )
    assert rows.loc[("clean", "as they are"), "loss"] == 0
    assert rows.loc[("noise", "purified"), "loss"] > rows.loc[("clean", "purified"), "loss"]
    tried = adaptive.before_training("16/255", "restorer", ["everything"])
    assert list(tried) == [(who, kind) for who in ("clean", "everything")
                           for kind in ("as they are", "purified")]  # fmt: skip
    assert tried["everything", "purified"].purifier == "restorer"


def test_report_writes_numbers_and_figures(tmp_path):
    partly = frame()[frame()["knowledge"] == "nothing"].assign(clean_share=0.5)
    adaptive.report(frame(), partly, climbed(), "16/255", tmp_path)
    content = shipped("adaptive", folder=tmp_path)
    assert {row["clean_share"] for row in content["mixed"]} == {0.0, 0.5}
    for name in ("budget_texture", "mixed"):
        assert (tmp_path / f"adaptive_{name}.png").stat().st_size > 1000


def test_report_without_mixed_sets(tmp_path):
    adaptive.report(frame(), pd.DataFrame(), climbed(), "16/255", tmp_path)
    assert shipped("adaptive", folder=tmp_path)["mixed"] == []
    assert not (tmp_path / "adaptive_mixed.png").exists()


def test_some_pictures_are_clean(subject):
    other = 1 - subject.b
    for share, clean in ((0.0, 0), (0.25, 1), (0.75, 3), (1.0, 4)):
        made = adaptive.some_clean(subject.b, other, share)
        assert torch.equal(made[:clean], subject.b[:clean])
        assert torch.equal(made[clean:], other[clean:])
