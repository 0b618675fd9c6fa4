"""Four methods side by side: what is measured, and what the tables say of known numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from shortcut_nb.cells import Sheet
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import methods
from shortcut_nb.metrics.copying import nearest, spread
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.reporting import methods as reading
from shortcut_nb.reporting.replicate import measure
from shortcut_nb.reporting.summary import summary
from shortcut_nb.store import Store

SMALL = {"class_images": 4, "batch_size": 2}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


def pictures(subjects=6):
    """Identity rises with the steps, then falls; the class follows without a prior."""
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for method, lost in ((methods.OWN, 0.0), (methods.BARE, 0.2)):
            for share, reached in (("0", 0.1), ("1", 0.8), ("2", 0.7)):
                level, jitter = reached - lost * (share != "0"), 0.05 * i + 0.002 * rng.normal()
                drift = (0.3 if method == methods.BARE else 0.02) * float(share)
                place = {"condition": f"{method} | {share}", "subject": f"s{i}", "image": 0}
                own = {"ims_missing": level + jitter, "quality": level, "copies": 0.2}
                of_class = {"ims_missing": 0.1 + drift + jitter, "quality": 0.9 - drift / 10}
                seconds = {"train_seconds": 30.0 if method == methods.OWN else 20.0}
                rows.append(place | own | {"sheet": "instance"} | seconds)
                rows.append(place | of_class | {"sheet": "class"} | seconds)
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def measured():
    contrasts = tuple(methods.contrasts())
    return Measurement.of("methods", pictures(), contrasts=contrasts)


def test_verdicts_of_known_curves(measured):
    verdicts = measured.verdicts().set_index("contrast")
    learned = verdicts.loc["dreambooth learns the person"]
    assert learned["mean"] == pytest.approx(0.7, abs=0.01) and learned["role"] == "primary"
    assert learned["verdict"] == "confirmed"
    assert verdicts.loc["dreambooth goes on learning", "verdict"] == "refuted"
    assert verdicts.loc["dreambooth keeps the class good", "verdict"] == "confirmed"
    kept = verdicts.loc["prior preservation keeps the class another"]
    assert kept["mean"] == pytest.approx(-0.28, abs=0.01) and kept["verdict"] == "confirmed"
    assert verdicts.loc["prior preservation costs the person", "verdict"] == "refuted"
    assert verdicts.loc["custom-diffusion learns the person", "verdict"] == "not measured"


def test_what_bench_kept_gives_curves_and_costs(measured, tmp_path):
    measured.write(tmp_path)
    doses = reading.shipped_doses(folder=tmp_path)
    assert sorted(doses["share"].unique()) == [0, 1, 2] and doses["pictures"].isna().all()
    at = doses.set_index(["method", "share", "score"])["mean"]
    assert at["dreambooth", 1, "ims_missing"] == pytest.approx(0.925, abs=0.01)
    assert at[methods.BARE, 2, "quality, class"] == pytest.approx(0.84)
    costs = reading.costs(folder=tmp_path)["time"]
    assert list(costs.index) == [methods.OWN, methods.BARE]
    assert costs.tolist() == [1.0, pytest.approx(2 / 3)]


def test_the_shipped_result_is_read():
    doses = reading.shipped_doses()
    assert set(doses["score"]) >= set(reading.TITLES)
    assert set(doses["method"]) == set(methods.METHODS)
    assert set(doses["pictures"].dropna()) == {1, 2, 4, 8}
    assert (reading.costs()["time"].drop(methods.OWN) < 1.1).all(), "nothing takes longer"
    verdicts = summary("methods").verdicts.set_index("contrast")
    assert verdicts.loc["dreambooth learns the person", "verdict"] == "confirmed"
    assert set(verdicts.index) == {contrast.name for contrast in methods.contrasts()}


def test_copies_and_diversity(subject):
    assert nearest(subject.b, subject.b) == pytest.approx(1.0)
    assert (nearest(subject.c, subject.b) < 0.99).all()
    assert np.isnan(nearest(subject.b[..., :8, :8], subject.b[..., :8, :8])).all()
    same = subject.b[:1].repeat(3, 1, 1, 1).flatten(1)
    assert spread(same) == pytest.approx(0.0, abs=1e-5)
    assert spread(torch.eye(3)) == pytest.approx(1.0)
    assert np.isnan(spread(torch.eye(1))).all()


def test_the_question_runs_on_few_steps_and_pictures(lab, tmp_path):
    """Without training the samples are the base model's; with one picture that alone is copied."""
    pipeline = Pipeline(lab, Store(tmp_path))
    whole = methods.experiment(lab.profile)
    short = {"dreambooth, no prior | 0": 0, "dreambooth | 1 | 1": 2}
    cells = {
        name: whole.cells[name].model_copy(
            update={"training": whole.cells[name].training | SMALL | {"steps": steps}}
        )
        for name, steps in short.items()
    }
    tried = whole.model_copy(update={"cells": cells})
    rows = measure(tried, pipeline, "mini:held-out/0", 0, 2)
    assert set(rows["condition"]) == set(short)
    own = rows[rows["sheet"] == "instance"]
    assert own[["copies", "diversity", "ims_missing", "quality"]].notna().all(axis=None)
    subject = lab.subject("mini:held-out/0")
    cell = cells["dreambooth | 1 | 1"]
    drawn = pipeline.samples(subject, cell, 0, n=2)
    copied = own.loc[own["condition"] == "dreambooth | 1 | 1", "copies"]
    assert copied.to_numpy() == pytest.approx(nearest(drawn, subject.b[:1]))
    untouched = lab.diffusion.sample(subject.class_prompt, 2, seed=0, **vars(lab.profile.sampling))
    bare = pipeline.samples(subject, cells["dreambooth, no prior | 0"], 0, Sheet(of="class"), 2)
    assert (bare - untouched).abs().max() < 1 / 255


def test_every_number_of_pictures_is_another_training(lab, tmp_path):
    pipeline, subject = Pipeline(lab, Store(tmp_path)), lab.subject("mini:held-out/0")
    keys = {
        pipeline.train(
            subject, methods.cell_of("dreambooth", lab.profile, pictures=n), 0
        ).recipe.key
        for n in (None, 1, 2, 4, 8)
    }
    assert len(keys) == 4, "four are all of set B"
    too_many = methods.cell_of("dreambooth", lab.profile, pictures=99)
    with pytest.raises(UserError, match="ask for fewer"):
        pipeline.model(subject, too_many, 0)


def test_the_spread_of_samples_that_are_nearly_equal_is_exact():
    """1 − cosine in single precision loses all its digits there."""
    angle = 1e-5
    pair = torch.tensor([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], dtype=torch.float64)
    assert spread(pair) == pytest.approx(angle**2 / 2, rel=1e-6)
