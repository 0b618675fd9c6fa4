"""What people add of their own: refused where it enters if it cannot work, and never mixed up."""

import copy
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.budget import Budget, linf_pixels
from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import Choice
from shortcut_nb.images import contact_sheet, fitted, load_picture, save_folder
from shortcut_nb.metrics import METRICS, SAMPLE_PROBES
from shortcut_nb.metrics.base import Column
from shortcut_nb.metrics.frame import check_columns
from shortcut_nb.metrics.sample_probes import SampleProbe
from shortcut_nb.personalize import PROMPTS, Prompts
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.probes import IMAGE_PROBES
from shortcut_nb.purify import PURIFIERS
from shortcut_nb.purify.base import Purifier
from shortcut_nb.registry import Registry
from shortcut_nb.store.code import code_of
from shortcut_nb.subjects import Subject
from tests.places import read_only, small_disk

TRAINING = {"steps": 1, "class_images": 2, "batch_size": 1}


def with_words(words):
    """Prompts of one's own; all of them have the same source."""

    def form(subject, noise_token="", negative=""):
        own, cls = f"{subject.instance_prompt}, {words}", subject.class_prompt
        return Prompts(own, cls, own, cls, negative)

    return form


def test_other_words_are_another_training(tiny_lab, tmp_path, monkeypatch):
    subject, cell = tiny_lab.subject("mini:held-out/0"), Cell(prompts="own", training=TRAINING)
    knowing = Cell(attack="adaptive-aspl", settings={"prompts": "own"})
    keys = []
    for words in ("in the rain", "in the sun", "in the sun"):
        monkeypatch.setitem(PROMPTS, "own", with_words(words))
        pipeline = Pipeline(tiny_lab, tmp_path)
        nodes = pipeline.train(subject, cell, 0), pipeline.protect(subject, knowing, 0)
        keys.append([node.recipe.key for node in nodes])
    assert keys[1] == keys[2]
    assert all(one != other for one, other in zip(*keys[:2], strict=True))


def probe_of(given, **further):
    return SampleProbe(lambda models, images, references: given, (), {"own": Column("own")})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"own": [1.0]}, "a number for each of 2 samples in 'own'; got 1"),
        ({"own": ["a", "b"]}, "must give numbers in 'own'"),
        ({"other": [1.0, 2.0]}, "gave a column 'other' that it does not describe"),
        (None, "must give columns by name; got NoneType"),
    ],
)
def test_a_probe_that_gives_something_else_is_named(tiny_lab, tmp_path, monkeypatch, given, says):
    monkeypatch.setitem(SAMPLE_PROBES, "mine", probe_of(given))
    pipeline, cell = Pipeline(tiny_lab, tmp_path), Cell(training=TRAINING)
    subject = tiny_lab.subject("mini:held-out/0")
    node = pipeline.probe_samples(subject, cell, 0, Sheet(steps=1), 2, "mine")
    with pytest.raises(UserError, match=f"the sample probe 'mine' .*{says}"):
        pipeline.make(node)
    assert not pipeline.store.has(node.recipe)


def test_numbers_of_numpy_and_torch_are_kept(tiny_lab, tmp_path, monkeypatch):
    monkeypatch.setitem(SAMPLE_PROBES, "mine", probe_of({"own": torch.tensor([1.0, 2.0])}))
    pipeline, cell = Pipeline(tiny_lab, tmp_path), Cell(training=TRAINING)
    subject = tiny_lab.subject("mini:held-out/0")
    node = pipeline.probe_samples(subject, cell, 0, Sheet(steps=1), 2, "mine")
    assert pipeline.make(node).json("columns") == {"own": [1.0, 2.0]}


class Own(Purifier):
    """Gives what it is told to."""

    name: ClassVar[str] = "own"
    given: ClassVar = staticmethod(lambda images: images)

    def run(self, images, models, on_step):
        return type(self).given(images)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda x: x[:1], r"the shape \(2, 3, 16, 16\); got \(1, 3, 16, 16\)"),
        (lambda x: x * 3, r"must be in \[0, 1\]"),
        (lambda x: x.double(), "must be float32"),
        (lambda x: x * torch.nan, "must be finite"),
        (lambda x: None, "must be a torch.Tensor"),
    ],
)
def test_a_purifier_that_gives_no_such_pictures_is_named(monkeypatch, given, says):
    monkeypatch.setattr(Own, "given", staticmethod(given))
    with pytest.raises((UserError, TypeError), match=f"the purifier own .*{says}"):
        Own()(torch.rand(2, 3, 16, 16))


def test_a_purifier_that_gives_what_it_got_gives_a_new_tensor():
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(same := Own()(images), images) and same.data_ptr() != images.data_ptr()


@pytest.mark.parametrize(
    ("registry", "thing", "says"),
    [
        (METRICS, object, "class method open"),
        (METRICS, type("M", (), {"open": print, "needs": "subjects"}), "must have needs = "),
        (SAMPLE_PROBES, print, "must be a SampleProbe"),
        (IMAGE_PROBES, print, "must be a ImageProbe"),
        (PURIFIERS, print, "derives from Purifier"),
        (ATTACKS, Own, "derives from Attack"),
        (PROMPTS, "a photo", "a function that gives Prompts"),
    ],
)
def test_what_is_of_another_kind_is_refused(registry, thing, says):
    with pytest.raises(UserError, match=says):
        registry.add("mine", thing)
    assert "mine" not in registry


@pytest.mark.parametrize(
    ("registry", "thing", "name"), [(ATTACKS, Own, "none"), (PURIFIERS, Own, "profile")]
)
def test_names_that_mean_something_else_are_refused(registry, thing, name):
    with pytest.raises(UserError, match="has a meaning there"):
        registry.add(name, thing)


def defined(text, module="__main__"):
    """The class Mine of a source that no file holds."""
    space = {"__name__": module}
    exec(compile(text, "<stdin>", "exec"), space)
    return space["Mine"]


def test_what_is_defined_again_takes_its_own_place():
    registry = Registry("thing")
    first, second = defined("class Mine: value = 1"), defined("class Mine: value = 2")
    registry.add("mine", first)
    registry.add("mine", second)
    assert registry["mine"].value == 2
    with pytest.raises(UserError, match="exists already .*take another name, or remove"):
        registry.add("mine", defined("class Mine: value = 3", "elsewhere"))
    probes = Registry("sample probe")
    for _ in range(2):
        probes.add("mine", SampleProbe(with_words, (), {"own": Column("own")}))
    with pytest.raises(UserError, match="take another name$"):
        PURIFIERS.add("codesr", Own)


def test_a_column_is_given_once(monkeypatch):
    check_columns(METRICS)
    taken = {"quality": "the metric 'quality' does", "sheet": "names a row", "eps": "names a row"}
    for column, says in taken.items():
        monkeypatch.setitem(SAMPLE_PROBES, "mine", SampleProbe(print, (), {column: Column("x")}))
        with pytest.raises(UserError, match=says):
            Experiment(name="own", cells={"one": {}})


def test_code_without_a_source_counts_with_its_values():
    texts = ["class Mine:\n    A = {}\n    def run(self): return [i * {} for i in range(3)]"] * 4
    filled = [text.format(*v) for text, v in zip(texts, [(1, 1), (1, 1), (2, 1), (1, 2)])]
    one, same, *others = [code_of([defined(text)]) for text in filled]
    assert one == same and one["code"] and all(one != other for other in others)


def test_a_base_from_another_module_counts(monkeypatch):
    digests = []
    for value in (1, 2):
        module = ModuleType("own_base")
        exec(f"class Base:\n    def run(self): return {value}", module.__dict__)
        monkeypatch.setitem(sys.modules, "own_base", module)
        digests.append(code_of([type("Mine", (module.Base,), {"__module__": "own_other"})]))
    assert digests[0] != digests[1]


def test_what_is_bound_counts_and_names_do_not_collide():
    def limit(*about, threshold=0):
        return threshold

    assert code_of([partial(limit, threshold=1)]) != code_of([partial(limit, threshold=2)])
    one, two = defined("class Mine: a = 1", "own_a"), defined("class Mine: b = 1", "own_b")
    assert code_of([one, two]) != code_of([two]) and code_of([one]) != code_of([two])


@dataclass(frozen=True)
class Bound:
    """What can be called, with a value of its own."""

    threshold: int

    def __call__(self, *about):
        return {}


def test_values_of_what_can_be_called_count():
    assert code_of([Bound(1)]) == code_of([Bound(1)]) != code_of([Bound(2)])
    assert code_of([Bound(1).__call__]) != code_of([Bound(2).__call__])
    for one, other in ((Path("a"), Path("b")), (np.zeros(2), np.ones(2))):
        assert code_of([partial(Bound, one)]) != code_of([partial(Bound, other)])


def test_a_copy_changes_no_digest():
    kind = defined("class Mine: value = 1")
    before = code_of([kind])
    copy.copy(kind())
    assert code_of([kind]) == before and code_of(["".join]) == {}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"atack": "noise"}, "the nearest are attack"),
        ({"clean_share": 2.0}, "less than 1"),
        ({"pictures": 0}, "greater than or equal to 1"),
        ({"settings": {"eps": "32/255"}}, "settings must not have 'eps'"),
    ],
)
def test_a_changed_cell_is_checked(fields, says):
    experiment = Experiment(name="own", cells={"one": {"attack": "noise"}})
    assert experiment.only("one", eps=8).cells["one"].eps == "8/255"
    with pytest.raises(UserError, match=says) as refused:
        experiment.only("one", **fields)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"n": 0},
        {"count": -1},
        {"seeds": ()},
        {"seeds": 5},
        {"seeds": iter(())},
        {"subjects": 3},
        {"subjects": "mini:held-out/0"},
        {"cells": ""},
    ],
)
def test_a_choice_is_checked(given):
    with pytest.raises(UserError, match=f"^{next(iter(given))} must be"):
        Choice(**given)


def test_a_choice_is_of_any_list(tmp_path):
    assert Choice(seeds=(seed for seed in (3, 1))).seeds == (3, 1)
    assert Choice(seeds=range(2)).seeds == (0, 1)
    assert Choice(subjects=[tmp_path]).subjects == (str(tmp_path),)
    with pytest.raises(UserError, match="must be a list of at least one"):
        Choice(seeds=b"12")


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.0])
def test_an_experiment_and_a_choice_have_the_same_seeds(seed):
    with pytest.raises(UserError, match="each of seeds must be"):
        Choice(seeds=(seed,))
    with pytest.raises(UserError, match=f"^seeds: each of seeds must be [^;]*; got {seed}$"):
        Experiment(name="own", cells={"one": {}}, seeds=(seed,))
    with pytest.raises(UserError, match="^seeds: expected at least one seed"):
        Experiment(name="own", cells={"one": {}}, seeds=())


@pytest.mark.parametrize("scale", [255.0, -1.0, np.nan])
def test_a_budget_is_of_pictures_in_their_range(scale):
    x = torch.full((1, 3, 8, 8), 0.9)
    with pytest.raises(UserError, match="pictures must be"):
        Budget.linf(8).check(x * scale, x * scale)
    with pytest.raises(UserError, match="must be float"):
        linf_pixels(x.byte(), x.byte())
    with pytest.raises(UserError, match="x must be finite"):
        Budget.linf(8).project_grid(x * np.nan, x)


def test_a_trainer_says_what_it_cannot_change_or_pack(quick_lab, subject):
    trainer = quick_lab.personalize("dreambooth", **TRAINING)
    with pytest.raises(UserError, match="no parameter 'stepz': the nearest are steps"):
        trainer.changed(stepz=1)
    assert trainer.changed(steps=2).steps == 2
    other = quick_lab.personalize("dreambooth-lora", steps=0).fit(subject)
    with pytest.raises(UserError, match="a model that dreambooth has trained"):
        trainer.pack(subject, other)


@pytest.mark.parametrize("content", [b"junk", b"question: x", b""])
def test_a_file_that_is_no_checkpoint_is_named(quick_lab, subject, tmp_path, content):
    path = tmp_path / "run.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="run.ckpt is not a checkpoint"):
        quick_lab.personalize("dreambooth", **TRAINING).fit(subject, checkpoint=path)


def test_a_surrogate_that_stays_is_written_once(tiny_lab, tmp_path):
    path, sizes = tmp_path / "run.ckpt", []
    attack = tiny_lab.attack("fsmg", surrogate_steps=1, steps=4, class_images=2)

    def look(info):
        sizes.append(path.stat().st_size if path.exists() else 0)

    whole = attack(tiny_lab.subject("mini:held-out/0"), on_step=look, checkpoint=path, every=1)
    fixed = sum(p.numel() for m in tiny_lab.diffusion.modules[1:] for p in m.parameters()) * 4
    assert 0 < max(sizes) < fixed / 2 and not path.exists()

    def stop(info):
        if info.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attack(tiny_lab.subject("mini:held-out/0"), on_step=stop, checkpoint=path, every=1)
    resumed = attack(tiny_lab.subject("mini:held-out/0"), checkpoint=path, every=1)
    assert torch.equal(resumed.images, whole.images)


def test_sizes_gaps_and_words_are_checked(tmp_path):
    images = torch.rand(2, 3, 16, 16)
    save_folder(images, tmp_path)
    for size in (0, -1, "64", True):
        with pytest.raises(UserError, match="size must be a whole number, at least 8"):
            load_picture(tmp_path / "000.png", size)
        with pytest.raises(UserError, match="size must be a whole number, at least 8"):
            fitted(images, size)
    with pytest.raises(UserError, match="a gap of at least 0"):
        contact_sheet(images, 2, -9)
    with pytest.raises(TypeError, match="words must be templates"):
        Subject.from_images(images, words="a photo")


def test_without_room_for_its_constants_an_attack_writes_no_checkpoint(tiny_lab, tmp_path):
    attack = tiny_lab.attack("fsmg", surrogate_steps=1, steps=3, class_images=2)
    subject = tiny_lab.subject("mini:held-out/0")
    with small_disk(tmp_path / "small", 400) as folder:
        images = attack(subject, checkpoint=folder / "run.ckpt", every=1, keep=True).images
        assert list(folder.iterdir()) == []
    assert torch.equal(images, attack(subject).images)


def test_a_checkpoint_that_may_not_be_written_is_an_error(quick_lab, subject, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    trainer = quick_lab.personalize("dreambooth", **TRAINING)
    with read_only(folder), pytest.raises(UserError, match="cannot be written: the file system"):
        trainer.fit(subject, checkpoint=folder / "run.ckpt", every=1)
