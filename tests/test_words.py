"""Holding the text encoder: what is trained and sampled, and tables of known numbers."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments import words
from shortcut_nb.experiments.shipped import shipped, verdict
from shortcut_nb.experiments.stages import Cell
from shortcut_nb.personalize import PROMPTS

# Quality by training and sheet; texture is one minus it.
LEVELS = {
    ("plain", "plain"): 0.5, ("cdl", "without"): 0.4, ("cdl", "plain"): 0.45,
    ("cdl", "named"): 0.45,
    ("plain, frozen", "plain"): 0.55, ("plain, frozen", "without"): 0.7,
    ("cdl, frozen", "without"): 0.8, ("cdl, frozen", "plain"): 0.7, ("cdl, frozen", "named"): 0.4,
    ("noise prior, frozen", "without"): 0.9, ("noise prior, frozen", "plain"): 0.7,
    ("noise prior, frozen", "named"): 0.2,
}  # fmt: skip


def frame(subjects=6):
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for (training, sheet), level in LEVELS.items():
            for image in range(2):
                value = level + 0.05 * i + 0.003 * rng.normal()
                rows.append({"subject": f"s{i}", "seed": 0, "image": image, "pictures": "protected",
                             "training": training, "sheet": sheet,
                             "condition": f"{training} | {sheet}", "ims_missing": 0.8,
                             "quality": value, "texture": 1 - value, "noise": 0.5})  # fmt: skip
    return pd.DataFrame(rows)


def quality(table):
    return table[table["score"] == "quality"].set_index("piece")


def test_each_piece_has_the_differences_that_it_is_judged_by():
    found = quality(words.pieces(frame()))
    trained = found.loc[words.TRAINED[0]]
    assert trained["difference"] == pytest.approx(0.1, abs=0.01)  # over the sampling words alone
    assert trained["restored"] == pytest.approx(0.25, abs=0.01)  # over frozen DreamBooth
    assert trained["ahead"] == pytest.approx(0.4, abs=0.01)  # over CDL as it is
    assert verdict(trained["restored_holds"]) == "confirmed"
    assert verdict(found.loc["CDL", "difference_holds"]) == "refuted"
    assert pd.isna(found.loc["DreamBooth", "difference"]) and pd.isna(found.loc["CDL", "ahead"])


def test_a_named_token_is_to_bring_noise():
    found = words.named(frame())
    held = found[found["score"] == "texture"].set_index("piece")
    assert held.loc["V_N* named, frozen", "difference"] == pytest.approx(0.3, abs=0.01)
    assert verdict(held.loc["V_N* named, frozen", "difference_holds"]) == "confirmed"
    assert quality(found).loc["V_N* named, CDL", "difference_holds"] is None


def test_report_writes_numbers_and_figures(tmp_path):
    words.report(frame(), "16/255", tmp_path)
    content = shipped("words", folder=tmp_path)
    assert len(content["pieces"]) == 6 * 4 and len(content["named"]) == 6 * 4
    assert (tmp_path / "words_quality.png").stat().st_size > 1000


def test_a_training_is_sampled_in_three_ways(lab, subject):
    said = PROMPTS["cdl"](subject, "t@t noisy pattern", "noisy")
    sheets = words.sheets(subject.instance_prompt, said)
    assert sheets["without"].prompt.endswith("without t@t noisy pattern")
    assert sheets["without"].negative == "noisy" and sheets["plain"].negative == ""
    assert sheets["named"].prompt.endswith("with t@t noisy pattern")


@pytest.mark.parametrize("training", ["plain, frozen", "noise prior, frozen"])
def test_a_training_runs_and_leaves_the_text_encoder_alone(training, lab, subject):
    small = {"steps": 1, "class_images": 4, "batch_size": 2}
    name, settings = words.TRAININGS[training]
    fitted = lab.personalize(name, **(settings | small)).fit(subject)
    text, base = (model.modules[2].state_dict() for model in (fitted.model, lab.diffusion))
    assert all((text[key] == base[key]).all() for key in base)
    found = words.one("mini", subject.name, 0, "clean", Cell(), training, 1, small)
    assert set(found["sheet"]) == {"plain", "without", "named"}
    assert set(found["condition"]) == {f"{training} | {sheet}" for sheet in found["sheet"]}
