"""Class pictures are outputs of their own: named before anything runs, drawn once, by one owner."""

import pickle

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.attacks import ATTACKS
from shortcut_nb.cells import Cell
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import graph_of
from shortcut_nb.experiments.peaks import quick
from shortcut_nb.experiments.run import run
from shortcut_nb.models import Hooks
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.resuming.kept_work import keep_class_pictures
from shortcut_nb.store import Store
from tests.lanes import marked

FEW = {"steps": 1, "class_images": 2, "batch_size": 1}
PAIR = Experiment(
    name="pair", axes={"attack": ["none", "noise"]}, subjects=2, seeds=(0,), n=1,
    base={"eps": "8/255", "training": FEW},
)  # fmt: skip


@pytest.fixture
def asked(tiny_models):
    """A lab with the list of class pictures that were asked of it."""
    lab, asked = Lab(tiny_models, "cpu", torch.float32), []

    def keep(drawn):
        asked.append(drawn)
        return lab.draw_class_pictures(drawn)

    lab.hooks = Hooks(class_latents=keep)
    return lab, asked


ENSEMBLES = {"e-aspl", "e-fsmg"}  # of the tiny lab's one model, and below of the miniature's two


@pytest.mark.parametrize("name", marked(sorted(ATTACKS)))
def test_an_attack_names_the_class_pictures_that_it_draws(asked, pair, name):
    lab, drawn = asked
    attack = lab.attack(name, **quick(name), **({"models": 1} if name in ENSEMBLES else {}))
    attack(pair)
    assert set(drawn) == set(attack.class_pictures(pair))


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_a_training_of_no_steps_draws_none(asked, pair, name):
    lab, drawn = asked
    trainer = lab.personalize(name, steps=0, class_images=2)
    assert trainer.fit(pair).losses == [] and not drawn
    assert trainer.class_pictures(pair) == ()


@pytest.mark.parametrize("name,more", [
    ("aspl", {"perturbed_steps": 0}), ("aspl", {"clean_steps": 0, "perturbed_steps": 0}),
    ("aspl", {"prior_weight": 0.0}), ("fsmg", {"surrogate_steps": 0}),
    ("decoded-shift", {"match": "aspl"}), ("decoded-shift", {"match": ""}),
])  # fmt: skip
def test_an_attack_in_other_settings_names_them_too(asked, pair, name, more):
    lab, drawn = asked
    attack = lab.attack(name, **quick(name) | more)
    attack(pair)
    assert set(drawn) == set(attack.class_pictures(pair))


def test_an_ensemble_names_those_of_each_of_its_models(lab, pair):
    drawn = lab.attack("e-aspl", **quick("e-aspl")).class_pictures(pair)
    assert [each.role for each in drawn] == list(lab.ensemble)


@pytest.mark.parametrize("name,more", [
    *((name, {}) for name in sorted(TRAINERS)), ("dreambooth", {"prior_weight": 0.0}),
    ("cdl-dreambooth", {"prompts": "cdl", "noise_prior_weight": 1.0, "pair_weight": 1.0}),
    ("cdl-dreambooth", {"prompts": "cdl", "prior_weight": 0.0, "pair_weight": 1.0}),
    ("cdl-dreambooth", {"prompts": "cdl", "prior_weight": 0.0, "noise_prior_weight": 1.0}),
])  # fmt: skip
def test_a_trainer_names_the_class_pictures_that_it_draws(asked, pair, name, more):
    lab, drawn = asked
    trainer = lab.personalize(name, **FEW, **more)
    trainer.fit(pair)
    assert set(drawn) == set(trainer.class_pictures(pair))


def test_they_are_one_output_that_every_training_waits_for(tiny_lab, tmp_path):
    graph = graph_of(PAIR, Pipeline(tiny_lab, Store(tmp_path)))
    (prior,) = (key for key in graph.missing if graph.nodes[key].recipe.stage == "prior")
    trainings = [node for node in graph.nodes.values() if node.recipe.stage == "train"]
    assert len(trainings) == 4
    assert all(prior in {need.recipe.key for need in node.needs} for node in trainings)
    job = pickle.loads(pickle.dumps(graph.jobs[prior]))
    elsewhere = Pipeline(tiny_lab, Store(tmp_path))
    assert job.node(elsewhere, elsewhere.lab.subject(job.subject)).recipe.key == prior


def test_an_attack_without_its_models_stops_no_planning(tiny_lab, tmp_path):
    """The tiny profile names one text-to-image model, and the ensembles want two."""
    pair = PAIR.model_copy(update={"axes": {"attack": ["none", "e-aspl"]}, "subjects": 1})
    pipeline = Pipeline(tiny_lab, Store(tmp_path))
    result = run(pair, pipeline, executor_of("serial", pipeline))
    assert {failure.stage for failure in result.failures} == {"protect"}
    assert "add some under ensemble" in result.failures[0].error
    assert set(result.frame["attack"]) == {"none"}


def test_commands_and_measurements_share_them(tiny_models, pair, tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path))
    lab, other = (Lab(tiny_models, "cpu", torch.float32) for _ in range(2))
    keep_class_pictures(lab)
    lab.personalize("dreambooth", **FEW).fit(pair)
    pipeline = Pipeline(other)
    needs = pipeline.train(pair, Cell(training=FEW), 0).needs
    assert [pipeline.store.has(node.recipe) for node in needs] == [True]
