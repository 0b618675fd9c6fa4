"""Holding the text encoder: what is trained and sampled, and tables of known numbers."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments import words
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.decoupling import table_of
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.shipped import shipped, verdict
from shortcut_nb.experiments.stages import Cell, Stages
from shortcut_nb.personalize import PROMPTS
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.store import Store

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


def test_what_bench_keeps_gives_the_same_tables(tmp_path):
    """The frame of the runner, averaged and written, says what the samples say."""
    own = frame().drop(columns="condition")
    own = own.assign(condition=own["training"] + " | " + own["pictures"], attack="aspl",
                     eps="16/255")  # fmt: skip
    question = open_experiment("words", load_profile("mini"))
    Measurement.of("words", own, contrasts=question.contrasts).write(tmp_path)
    content = shipped("words", folder=tmp_path)
    assert content["eps"] == "16/255" and len(content["subjects"]) == 6
    for name, table in (("pieces", words.pieces(frame())), ("named", words.named(frame()))):
        kept = pd.DataFrame(content[name])
        assert len(kept) == 6 * 4
        np.testing.assert_allclose(kept["mean"], table["mean"], rtol=1e-4)
        np.testing.assert_allclose(kept["low"], table["low"], rtol=1e-3)


def test_the_question_has_the_cells_of_its_contrasts():
    profile = load_profile("mini")
    question = open_experiment("words", profile)
    cells = question.all_cells()
    assert len(cells) == 2 * len(words.TRAININGS)
    prior = cells["noise prior, frozen | protected 16/255"][0]
    assert (prior.trainer, prior.prompts, prior.attack) == ("cdl-dreambooth", "cdl", "aspl")
    assert prior.training == {"noise_prior_weight": words.NOISE_PRIOR, "text_lr": 0.0}
    scores = dict.fromkeys(("quality", "texture", "ims_missing"), 0.0)
    rows = [
        labels | {"condition": name, "subject": person, "sheet": sheet} | scores
        for name, (_, labels) in cells.items()
        for sheet in question.sheets
        for person in "ab"
    ]
    judged = judge(pd.DataFrame(rows), question.contrasts)  # strict: every cell is there
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1


def test_the_runner_samples_it_in_the_same_words(lab, subject, tmp_path):
    pipeline = Pipeline(lab, Store(tmp_path))
    question = open_experiment("words", lab.profile)
    cell = question.all_cells()["cdl | clean"][0]
    said = PROMPTS["cdl"](subject, "t@t noisy pattern", lab.profile.prompts.negative)
    for name, sheet in words.sheets(subject.instance_prompt, said).items():
        drawn = pipeline.sample(subject, cell, 0, question.sheets[name], 1).recipe.params["sheet"]
        assert (drawn["prompt"], drawn["negative"]) == (sheet.prompt, sheet.negative), name


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
    stages = Stages(lab)
    made = words.drawn(stages, subject, Cell(), training, n=1, **small)
    found = table_of(stages, subject, "clean", training, 0, made)
    assert set(found["sheet"]) == {"plain", "without", "named"}
    assert set(found["condition"]) == {f"{training} | {sheet}" for sheet in found["sheet"]}
