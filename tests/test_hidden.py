"""A second encoder of identity, that looks through noise: what it is for, and what asks it."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.questions import hidden, open_experiment
from shortcut_nb.metrics import IdentityMatch
from shortcut_nb.metrics.hardened_identity import MEASURE
from shortcut_nb.mini.evaluate import noisy
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.store import Store


def test_it_is_the_cosine_to_the_mean_of_the_clean_pictures(miniature, subject):
    encoder = miniature.measure(MEASURE)
    images, references = subject.b, subject.c
    with torch.no_grad():
        pooled = encoder.model((torch.cat([images, references]) - 0.5) / 0.5).pooler_output
    z = F.normalize(pooled.flatten(1), dim=1)
    mean = F.normalize(z[len(images) :].mean(0), dim=0)
    match = IdentityMatch(encoder)(images, references)["ims"]
    assert match == pytest.approx((z[: len(images)] @ mean).numpy(), abs=1e-5)
    assert match.dtype == np.float64 and match.min() > 0.9


def test_noise_hides_less_of_a_person_from_it(miniature, subject):
    dirty = noisy(subject.b.repeat(8, 1, 1, 1), 0)
    robust = IdentityMatch(miniature.measure(MEASURE))(dirty, subject.c)["ims"].mean()
    plain = (miniature.identity(dirty) @ miniature.identity.mean(subject.c)).mean()
    assert robust > plain + 0.01


def test_the_probe_is_the_match_of_the_samples(miniature, subject, tmp_path):
    pipeline = Pipeline(miniature, Store(tmp_path))
    cell = Cell(training={"steps": 1, "class_images": 4, "batch_size": 1})
    columns = pipeline.make(pipeline.probe_samples(subject, cell, 0, Sheet(), 2, "hidden")).json(
        "columns"
    )
    images = pipeline.samples(subject, cell, n=2)
    scores = IdentityMatch(miniature.measure(MEASURE))(images, subject.c)["ims"]
    assert columns == {"ims_hardened": pytest.approx(scores.tolist())}


def test_a_contrast_on_it_needs_the_probe():
    asked = {"name": "one", "metric": "ims_hardened", "weights": {"clean": 1.0}}
    with pytest.raises(ValueError, match=r"it needs sample_probes: \[hidden\]"):
        Experiment(name="own", cells={"clean": {}}, contrasts=[asked])
    Experiment(name="own", cells={"clean": {}}, contrasts=[asked], sample_probes=("hidden",))


@pytest.mark.parametrize(("left", "verdict"), [(0.8, "confirmed"), (0.4, "refuted")])
def test_a_person_is_there_or_gone_as_the_encoder_sees_it(left, verdict):
    levels = {"clean": 0.8, "random noise": 0.8, "aspl": left, "photoguard": 0.5}
    draws = np.random.default_rng(0)
    rows = [
        {"condition": name, "subject": person, "seed": 0, "sheet": "instance"}
        | {score: level + 0.01 * draws.standard_normal() for score in ("ims", "ims_hardened")}
        for name, level in levels.items()
        for person in range(8)
    ]
    asked = open_experiment("hidden", load_profile("mini")).contrasts
    verdicts = judge(pd.DataFrame(rows), asked).set_index("contrast")["verdict"]
    (primary,) = [one.name for one in asked if one.primary]
    assert verdicts[primary] == verdict
    assert set(levels) == set(hidden.CELLS)
