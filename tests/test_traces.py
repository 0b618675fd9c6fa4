"""Where the shortcut lives: a real look inside two short trainings, and verdicts on known ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.contrast_checks import measured_columns
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import graph_of
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.questions.traces import PREDICTIONS
from shortcut_nb.experiments.run import Ended, execute, run
from shortcut_nb.inside import MODEL_PROBES
from shortcut_nb.inside.traces import WATCHED, Traces, _fall, cells_of, columns_of
from shortcut_nb.metrics import Column, describe
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.store import Store
from tests.tiny_profile import tiny_profile

ROWS = {name for _, rows, _ in PREDICTIONS.values() for name in rows}
SPECTRUM = "V* samples carry the perturbation's spectrum, more than class samples do"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    profile = tiny_profile(tmp_path_factory.mktemp("tiny"))
    defaults = profile.defaults | {"dreambooth": profile.defaults["dreambooth"] | {"steps": 6}}
    return Lab(profile.model_copy(update={"defaults": defaults}), "cpu", torch.float32)


@pytest.fixture(scope="module")
def measured(lab, tmp_path_factory):
    """The question on a tiny model, with random noise in the place of ASPL."""
    pipeline = Pipeline(lab, Store(tmp_path_factory.mktemp("store")))
    question = open_experiment("traces", lab.profile)
    small = Experiment(
        name="traces", cells={"protected": Cell(attack="noise", eps="16/255")},
        sheets=question.sheets, contrasts=question.contrasts, subjects=1, seeds=(0,), n=2,
    )  # fmt: skip
    result = run(small, pipeline, executor_of("serial", pipeline))
    assert not result.failures and not result.skipped
    return small, result.frame


def looks_of(pipeline, **training):
    """The graph of the look inside, with every class picture set still to be drawn."""
    cell = Cell(attack="noise", eps="16/255", training=training)
    look = Experiment(
        name="look", cells={"protected": cell}, sheets={"inside": Sheet(inside="traces")},
        subjects=1, seeds=(0,), n=1,
    )  # fmt: skip
    return graph_of(look, pipeline)


def test_a_look_has_one_name_whether_weights_are_kept_or_not(lab, tmp_path):
    kept, bare = (Pipeline(lab, Store(tmp_path), keep_trained=mb) for mb in (1000, 0))
    names = [looks_of(each).rows[0].nodes[0].recipe.key for each in (kept, bare)]
    assert names[0] == names[1]
    assert looks_of(bare, lr=1e-5).rows[0].nodes[0].recipe.key != names[0]


@pytest.mark.slow
def test_a_training_that_is_not_kept_is_looked_into(lab, tmp_path):
    pipeline = Pipeline(lab, Store(tmp_path), keep_trained=0)
    graph = looks_of(pipeline)
    assert "prior" in {graph.nodes[key].recipe.stage for key in graph.missing}
    assert execute(graph, pipeline, executor_of("serial", pipeline)) == Ended()


@pytest.mark.slow
def test_a_short_training_is_looked_into(measured):
    _, frame = measured
    rows = frame.set_index("sheet")
    assert set(rows.index) >= ROWS and rows.index.is_unique
    assert set(Traces.columns) <= set(rows.columns)
    words = rows.loc[[name for name in rows.index if name.startswith(("identifier", "class"))]]
    assert len(words) == 4 and words[["attends", "draws"]].abs().max().max() <= 1
    assert (words["moved"] > 0).all() and rows.loc[words.index, "learned"].isna().all()
    losses = rows.loc[[name for name in rows.index if "noise, " in name]]
    columns = [f"loss after {share:.2f}" for share in (*WATCHED, 1.0)]
    assert len(losses) == 4 and (losses[columns] > 0).all().all()
    before = losses["loss after 0.00"]
    assert before["low noise, protected"] == before["low noise, clean"]  # the same model
    assert losses.loc["low noise, protected", "learned"] == pytest.approx(
        1 - losses.loc["low noise, protected", "loss after 1.00"] / before.iloc[0]
    )
    # "Protected" by random noise here, so random noise has its very spectrum.
    assert rows.loc["random noise", "match"] == pytest.approx(1)


@pytest.mark.slow
def test_every_prediction_has_its_measures(measured, tmp_path):
    small, frame = measured
    table = judge(frame, small.contrasts)  # strict: every row is there
    assert len(table) == len(PREDICTIONS) and np.isfinite(table["mean"]).all()
    Measurement.of("traces", frame, contrasts=small.contrasts).write(tmp_path)
    kept = Measurement.read("traces", folder=tmp_path)
    assert set(kept.verdicts()["contrast"]) == set(PREDICTIONS)
    assert all(prediction.why for prediction in PREDICTIONS.values())
    means = kept.means(kept.metrics, by=["sheet"])
    one = means[(means["sheet"] == "random noise") & (means["metric"] == "match")]
    assert one["mean"].item() == pytest.approx(1)


def test_the_probe_says_every_column_of_the_shipped_result():
    assert set(Traces.columns) <= set(Measurement.read("traces").metrics) <= measured_columns()
    with pytest.raises(UserError, match="must say its columns"):
        MODEL_PROBES.add("bare", type("Bare", (), {}))


@dataclass(frozen=True)
class Counts:
    """A probe that gives what it describes."""

    columns: ClassVar = {"counted": Column("how many were counted")}

    def recipes(self, pipeline, subject, cell, seed):
        return ()

    def needs(self, pipeline, subject, cell, seed):
        return ()

    def measure(self, pipeline, subject, cell, seed, n):
        return {"sheet": ["all"], "counted": [n]}


@dataclass(frozen=True)
class CountsMore(Counts):
    """A probe that gives a further column."""

    def measure(self, pipeline, subject, cell, seed, n):
        return super().measure(pipeline, subject, cell, seed, n) | {"further": [1]}


def test_a_probe_of_the_model_gives_what_it_describes(tiny_lab, tmp_path, monkeypatch):
    pipeline, subject = Pipeline(tiny_lab, Store(tmp_path)), tiny_lab.subject("mini:held-out/0")
    for name, probe in {"counts": Counts, "counts-more": CountsMore}.items():
        monkeypatch.setitem(MODEL_PROBES, name, probe)
    frame = pipeline.scores(subject, sheet=Sheet(inside="counts"), n=3)
    assert frame["counted"].tolist() == [3]
    with pytest.raises(UserError, match="'counts-more' gave a column 'further'"):
        pipeline.scores(subject, sheet=Sheet(inside="counts-more"), n=3)
    assert describe("counted").label == "how many were counted"


def test_falls_of_the_loss_are_shares_of_the_loss_before():
    row = _fall(pd.Series({0.0: 4.0, 1 / 3: 2.8, 1.0: 2.0}))
    assert row["learned"] == pytest.approx(0.5) and row["early_lead"] == pytest.approx(0.1)
    assert row["loss after 0.33"] == 2.8


def test_rows_become_columns_of_one_length():
    parts = [{"sheet": "a", "x": 1.0}, {"sheet": "b", "y": 2.0}, {"sheet": "a", "z": 3.0}]
    columns = columns_of(parts)
    assert columns["sheet"] == ["a", "b"] and columns["x"][0] == 1 and np.isnan(columns["x"][1])
    assert columns["z"][0] == 3


def test_the_clean_training_differs_in_its_pictures_alone():
    cells = cells_of(Cell(attack="aspl", share=0.5, purifier="jpeg", training={"steps": 3}))
    assert cells["clean"].attack == "none" and cells["clean"].at_home
    assert (cells["clean"].purifier, cells["clean"].training) == ("jpeg", {"steps": 3})
    with pytest.raises(ValueError, match="model probe"):
        MODEL_PROBES["trace"]


def test_verdicts_follow_the_measures():
    rng, rows = np.random.default_rng(0), []
    for i in range(6):
        for name in sorted(ROWS):
            row = {"condition": "protected", "subject": f"s{i}", "seed": 0, "sheet": name}
            for metric in ("attends", "draws", "moved", "learned", "early_lead", "match"):
                row[metric] = 0.3 * i + 0.01 * rng.normal()
            row["match"] += 0.4 * (name == "identifier, protected")
            row["moved"] += 0.2 * (name == "class, protected")
            rows.append(row)
    question = open_experiment("traces", Lab("mini").profile)
    table = judge(pd.DataFrame(rows), question.contrasts).set_index("contrast")
    assert table.loc[SPECTRUM, "verdict"] == "confirmed" and table.loc[SPECTRUM, "n"] == 6
    assert table.loc[SPECTRUM, "mean"] == pytest.approx(0.4, abs=0.02)
    assert table.loc["V* moves further than the class word", "verdict"] == "refuted"


def test_the_shipped_result_has_a_verdict_for_every_prediction():
    verdicts = Measurement.read("traces").verdicts()
    assert set(verdicts["contrast"]) == set(PREDICTIONS)
    assert set(verdicts["verdict"]) <= {"confirmed", "refuted", "undecided"}
