"""Recipes: keys that are known before anything runs, and follow what makes a thing."""

import copy
import importlib
import linecache
import pickle
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel

from shortcut_nb.attacks.base import ATTACKS
from shortcut_nb.budget import Budget
from shortcut_nb.cells import OWN, Cell, Sheet
from shortcut_nb.experiments import executor_choice
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.making import PipelineSpec
from shortcut_nb.experiments.planning import output_kind
from shortcut_nb.lab import Lab
from shortcut_nb.metrics import METRICS, SAMPLE_PROBES
from shortcut_nb.metrics.faces import FaceEncoder, HogFinder
from shortcut_nb.models.digests import memory_digest
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.probes import IMAGE_PROBES
from shortcut_nb.purify import PURIFIERS
from shortcut_nb.store import Recipe, Store, canonical, digest
from shortcut_nb.store.code import code_of

BASE = {"stage": "purify", "version": "1", "params": {"eps": Budget(8)}, "inputs": {"x": "abc"}}


@pytest.mark.parametrize(
    "other",
    [
        {"stage": "protect"},
        {"version": "2"},
        {"params": {"eps": Budget(9)}},
        {"inputs": {"x": "abd"}},
        {"inputs": {"y": "abc"}},
    ],
)
def test_each_part_of_a_recipe_counts(other):
    assert Recipe(**BASE) == Recipe(**BASE)
    assert Recipe(**BASE).key != Recipe(**(BASE | other)).key


def test_a_change_far_upstream_reaches_the_last_key():
    def chain(eps):
        protected = Recipe("protect", params={"eps": eps}, inputs={"pictures": "abc"})
        trained = Recipe("train", inputs={"images": protected})
        return Recipe("sample", inputs={"model": trained}).key

    assert chain("8/255") == chain("8/255") != chain("9/255")


def test_settings_say_themselves_what_they_are_made_of():
    @dataclass
    class Old:
        steps: int = 3

    @dataclass
    class New:
        steps: int = 3
        more: int = field(default=1, metadata={"omit": True})
        bars: bool = field(default=False, compare=False)

    class Model(BaseModel):
        steps: int = 3

    New.__name__ = "Old"
    assert canonical(New()) == canonical(Old()) == canonical(New(bars=True))
    assert canonical(New(more=2)) != canonical(Old())
    assert canonical(Model()) == '{"steps":3}' and canonical(Budget(8)) == '"8/255"'


def test_keys_are_canonical():
    assert canonical({"b": (1, 2), "a": Budget(8)}) == '{"a":"8/255","b":[1,2]}'
    with pytest.raises(ValueError, match="finite"):
        canonical(float("nan"))
    for wrong in (torch.ones(1), {1: 2}, {1, 2}, print):
        with pytest.raises(TypeError, match="recipe"):
            canonical(wrong)


def test_digests_follow_content():
    x = torch.rand(4, 4)
    assert digest(x) == digest(x.clone()) == digest(x.t().contiguous().t()) == digest(x.numpy())
    assert len({digest(x), digest(x.reshape(2, 8)), digest(x.double())}) == 3


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (3, "an array or a tensor to hash; got int"),
        (Path("file"), "an array or a tensor to hash; got PosixPath"),
        (np.array([{}, None]), "got dtype object"),
        (np.zeros(2, dtype=[("x", object)]), "got dtype"),
        (torch.ones(2, dtype=torch.bfloat16), "got torch.bfloat16"),
    ],
)
def test_what_has_no_bytes_of_its_own_has_no_digest(thing, says):
    with pytest.raises(TypeError, match=says):
        digest(thing)


OUTSIDE = """
from dataclasses import dataclass

import torch

from shortcut_nb.attacks.noise import RandomNoise
from shortcut_nb.metrics import Column
from shortcut_nb.personalize.dreambooth import DreamBooth
from shortcut_nb.personalize.methods import FullFineTuning
from shortcut_nb.purify import Purifier


@dataclass(frozen=True)
class Attack(RandomNoise):
    name = "outside-attack"

    def round(self, run, number):
        return run.clean + 1 / 255


class Base(Purifier):
    def grey(self, images):
        return torch.full_like(images, 0.2)


@dataclass(frozen=True)
class Grey(Base):
    name = "outside-grey"

    def run(self, images, models, on_step):
        return self.grey(images)


class Method(FullFineTuning):
    lasting = "no"


@dataclass(frozen=True)
class Trainer(DreamBooth):
    name = "outside-trainer"

    def method(self, subject):
        return Method()


class Redness:
    name, needs, columns = "outside-redness", "nothing", {"redness": Column("red")}
    scale = 1

    @classmethod
    def open(cls, models):
        return cls()

    def __call__(self, images, references=None):
        return {"redness": self.scale * images[:, 0].mean(dim=(1, 2)).double().numpy()}
"""
CELLS = {
    "protect": Cell(attack="outside-attack", eps="8/255"),
    "purify": Cell(purifier="jpeg+outside-grey"),
    "train": Cell(trainer="outside-trainer", training={"steps": 1}),
}


@pytest.fixture
def outside(quick_lab, subject, tmp_path, monkeypatch):
    """What a source of one's own gives: the keys of each stage, and a purified value."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def measure(source):
        (tmp_path / "outside_code.py").write_text(source)
        sys.modules.pop("outside_code", None)
        importlib.invalidate_caches()
        module = importlib.import_module("outside_code")
        every = (module.Attack, module.Grey, module.Trainer, module.Redness)
        for registry, own in zip((ATTACKS, PURIFIERS, TRAINERS, METRICS), every, strict=True):
            monkeypatch.setitem(registry, own.name, own)
        pipeline = Pipeline(quick_lab, Store(tmp_path / "store"))
        nodes = {stage: getattr(pipeline, stage)(subject, cell, 0) for stage, cell in CELLS.items()}
        nodes["probe"] = pipeline.score_samples(subject, Cell(), 0, OWN, 1)
        keys = {stage: node.recipe.key for stage, node in nodes.items()}
        return keys, float(pipeline.images(subject, CELLS["purify"]).mean())

    return measure


@pytest.mark.parametrize(
    ("before", "after", "stage"),
    [
        ("clean + 1 / 255", "clean - 1 / 255", "protect"),
        ("images, 0.2", "images, 0.6", "purify"),  # of a class that the purifier derives from
        ('lasting = "no"', 'lasting = "yes"', "train"),
        ("scale = 1", "scale = 100", "probe"),
    ],
)
def test_code_from_outside_is_part_of_what_it_makes(outside, before, after, stage):
    keys, value = outside(OUTSIDE)
    assert outside(OUTSIDE) == (keys, value) and value == pytest.approx(0.2)
    changed, value = outside(OUTSIDE.replace(before, after))
    assert {name for name in keys if changed[name] != keys[name]} == {stage}
    assert value == pytest.approx(0.6 if stage == "purify" else 0.2)


def test_the_packages_own_code_is_no_part_of_a_key():
    own = [*ATTACKS.values(), *PURIFIERS.values(), *TRAINERS.values(), *METRICS.values()]
    assert len(own) > 30 and code_of(own) == {}
    measures = [probe.measure for probe in [*SAMPLE_PROBES.values(), *IMAGE_PROBES.values()]]
    assert measures and code_of(measures) == {}


@pytest.mark.parametrize("kind", ["sample", "image"])
def test_a_probe_of_ones_own_is_measured_anew_when_its_code_changes(
    kind, tiny_lab, tmp_path, monkeypatch
):
    registry = SAMPLE_PROBES if kind == "sample" else IMAGE_PROBES
    template = replace(next(iter(registry.values())), roles=(), settings={})
    if kind == "image":
        template = replace(template, settings=lambda *about: {})
    subject, pipeline = tiny_lab.subject("mini:held-out/0"), Pipeline(tiny_lab, Store(tmp_path))
    keys = set()
    for number in (1, 2):
        name = f"<probe {number}>"
        source = f"def measure(*args):\n    return {number}\n"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        space = {"__name__": "__no_module__"}
        exec(compile(source, name, "exec"), space)
        monkeypatch.setitem(registry, "own", replace(template, measure=space["measure"]))
        if kind == "sample":
            node = pipeline.probe_samples(subject, Cell(), 0, Sheet(), 1, "own")
        else:
            node = Pipeline(tiny_lab, pipeline.store).probe_images(
                subject, Cell(attack="noise"), 0, "own"
            )
        keys.add(node.recipe.key)
    assert len(keys) == 2


def test_the_options_that_a_model_is_opened_with_count(tiny_lab):
    profile = tiny_lab.profile
    other = profile.detector.model_copy(update={"options": {"size": 32}})
    labs = [Lab(each, "cpu") for each in (profile, profile.model_copy(update={"detector": other}))]
    assert labs[0].digest("identity") == labs[1].digest("identity")
    assert labs[0].digest("detector") != labs[1].digest("detector")


def test_a_worker_is_told_which_card(tiny_lab, tmp_path, monkeypatch):
    pipeline = Pipeline(tiny_lab, Store(tmp_path))
    assert PipelineSpec.of(pipeline).device == "cpu"
    pipeline.lab = copy.copy(tiny_lab)
    pipeline.lab.device = torch.device("cuda:1")
    assert PipelineSpec.of(pipeline).device == "cuda:1"
    monkeypatch.setattr(executor_choice, "Ray", lambda work, *how, **more: work.args[0])
    assert executor_of("ray", pipeline).device == "cuda"  # it shows each worker its own


def test_what_stands_for_a_pipeline_opens_the_same_one_elsewhere(tiny_lab, tmp_path):
    pipeline = Pipeline(tiny_lab, Store(tmp_path), keep_trained=0.3)
    spec = PipelineSpec.of(pipeline)
    sent = pickle.loads(pickle.dumps(spec))
    assert sent == spec and sent.open() is spec.open()
    opened = sent.open()
    assert opened.lab.profile == tiny_lab.profile and opened.lab.autocast == tiny_lab.autocast
    assert (opened.store.root, opened.keep_trained) == (pipeline.store.root, 0.3)


def test_what_a_model_is_called_is_no_part_of_its_key_and_a_finder_within_is(tiny_lab):
    profile = tiny_lab.profile
    named = profile.detector.model_copy(update={"options": {"finds": "dog", "batch": 3}})
    labs = [Lab(each, "cpu") for each in (profile, profile.model_copy(update={"detector": named}))]
    assert labs[0].digest("detector") == labs[1].digest("detector")
    encoders = [FaceEncoder(None, None, HogFinder(least)) for least in (0.0, 0.9, 0.9)]
    assert len({memory_digest(each) for each in encoders}) == 2


def test_how_often_a_purifier_works_decides_what_it_costs(tiny_lab, tmp_path):
    subject, pipeline = tiny_lab.subject("mini:held-out/0"), Pipeline(tiny_lab, Store(tmp_path))
    kinds = set()
    for purifier in ("jpeg", "jpeg+gaussian"):
        for quality in (10, 90):
            cell = Cell(purifier=purifier, purifying={"quality": quality})
            kinds.add(output_kind(pipeline.purify(subject, cell, 0).recipe.fields))
    assert len(kinds) == 4


def test_code_without_a_file_counts_where_its_functions_can_be_read():
    """As a notebook's cells."""
    digests = []
    for number in (1, 2, 2):
        source = f"class Own:\n    def run(self):\n        return {number}\n"
        name = f"<cell {len(digests)}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        space = {"__name__": "__no_module__"}
        exec(compile(source, name, "exec"), space)
        digests.append(code_of([space["Own"]])["code"]["Own"])
    assert digests[0] != digests[1] == digests[2]
    assert code_of([type("Bare", (), {"__module__": "__no_module__"})]) == {}
