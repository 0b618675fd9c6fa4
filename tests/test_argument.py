"""The question behind the whole collection: every measure, the control, people enough."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.questions import argument, open_experiment
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.store import Store

HARMED = {
    "apart": 1.0,
    "quality": -0.3,
    "texture": 2.0,
    "coarse_texture": 1.5,
    "intact": -0.2,
    "ims_missing": -0.2,
    "attributes": -0.1,
}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def asked():
    return open_experiment("argument", load_profile("mini"))


def frame_of(asked, harms):
    """Twelve people whose V* each protection harms so much, and whom every remedy brings back."""
    rng, rows = np.random.default_rng(0), []
    for name, (_, labels) in asked.all_cells().items():
        for person in range(12):
            for sheet in ("instance", "class"):
                harmed = labels["treatment"] in argument.PROTECTIONS and sheet == "instance"
                row = {"condition": name, "subject": person, "seed": 0, "sheet": sheet} | labels
                for measure, size in harms.items():
                    row[measure] = 0.7 + size * harmed + 0.01 * rng.standard_normal()
                rows.append(row)
    return pd.DataFrame(rows)


def test_twelve_people_two_seeds_two_budgets_and_noise_of_the_same_size(asked):
    assert len(asked.people(load_profile("mini"))) == 12 and asked.seeds == (0, 1)
    cells = [cell for cell, _ in asked.all_cells().values()]
    for eps in argument.BUDGETS:
        attacks = {cell.attack for cell in cells if cell.eps == eps}
        assert attacks == {"none", "noise", *argument.PROTECTIONS}
    assert asked.sample_probes == ("apart", "traits")
    assert [one.primary for one in asked.contrasts].count(True) == 1


def test_measures_without_a_model_are_not_asked_for():
    profile = load_profile("mini")
    bare = profile.model_copy(update={"measures": {}})
    anywhere = {"apart", "quality", "texture", "coarse_texture", "ims_missing"}
    assert set(argument.measures(bare)) == anywhere
    assert open_experiment("argument", bare).sample_probes == ("apart",)


def test_an_effect_that_is_there_is_confirmed_and_one_that_is_not_is_not(asked):
    def verdicts(harms):
        return judge(frame_of(asked, harms), asked.contrasts)["verdict"]

    assert {each.expect for each in asked.contrasts} == {"+", "-"}  # each predicts a difference
    assert set(verdicts(HARMED)) == {"confirmed"}
    backwards = {name: -size for name, size in HARMED.items()}
    assert set(verdicts(backwards)) == {"refuted"}
    nothing = verdicts(dict.fromkeys(HARMED, 0.0))
    assert (nothing == "undecided").mean() > 0.9  # one in twenty is decided by chance


def test_the_traits_of_each_sample_are_those_that_the_reader_sees(miniature, subject, tmp_path):
    pipeline = Pipeline(miniature, Store(tmp_path))
    cell = Cell(training={"steps": 1, "class_images": 4, "batch_size": 1})
    columns = pipeline.make(pipeline.probe_samples(subject, cell, 0, Sheet(), 2, "traits")).json(
        "columns"
    )
    kept = miniature.measure("attributes").kept(pipeline.samples(subject, cell, n=2), subject.c)
    assert columns == {f"trait_{name}": kept[name].astype(float).tolist() for name in kept}
    scored = pipeline.make(pipeline.score_samples(subject, cell, 0, Sheet(), 2)).json("columns")
    assert scored["attributes"] == pytest.approx(kept.mean(axis=1).tolist())
