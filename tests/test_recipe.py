"""Recipes: keys that are known before anything runs, and follow what makes a thing."""

import importlib
import sys
from dataclasses import dataclass, field

import pytest
import torch
from pydantic import BaseModel

from shortcut_nb.attacks.base import ATTACKS
from shortcut_nb.budget import Budget
from shortcut_nb.cells import OWN, Cell
from shortcut_nb.metrics import METRICS
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.pipeline import Pipeline
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


def test_digests_follow_content_not_place(tmp_path):
    x = torch.rand(4, 4)
    assert digest(x) == digest(x.clone()) == digest(x.t().contiguous().t()) == digest(x.numpy())
    assert len({digest(x), digest(x.reshape(2, 8)), digest(x.double())}) == 3
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("same")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    (tmp_path / "b" / "f").write_text("other")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    with pytest.raises(TypeError, match="expected an array"):
        digest(3)
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "nothing")


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


def test_code_without_a_file_counts_where_its_functions_can_be_read():
    """As a notebook's cells."""
    import linecache

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
