"""The synthetic world: identities, captions, degradations, and a training loop that resumes."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shortcut_nb.errors import CannotWrite
from shortcut_nb.mini.attributes import GROUPS, labels_of
from shortcut_nb.mini.avatars import SPLITS, Identity, draw, identity, nuisance
from shortcut_nb.mini.captions import RESERVED, describe, describe_degraded, names
from shortcut_nb.mini.damages import DAMAGES, damage
from shortcut_nb.mini.degradations import KINDS, PATTERNS, degrade, pattern
from shortcut_nb.mini.pretrain import tokenizer
from shortcut_nb.mini.pretrain.loop import TrainingPlan, train
from shortcut_nb.mini.pretrain.machine import Machine
from shortcut_nb.mini.pretrain.pool import PoolSize
from shortcut_nb.mini.subjects import subject_sets


def without_nose(who: Identity) -> tuple:
    return (who.hair, who.hair_color, who.skin, who.facial_hair, who.glasses)


def test_splits_never_share_a_person_not_even_but_for_the_nose():
    trained = {i for i, _ in PoolSize().rows}
    people = {s: {without_nose(identity(s, i)) for i in range(400)} for s in SPLITS[1:]}
    people["train"] = {without_nose(identity("train", i)) for i in trained}
    assert len(trained) == 384 + 5000
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not people[one] & people[other]


def test_identity_is_a_function_of_its_arguments():
    assert identity("held-out", 3) == identity("held-out", 3)
    assert identity("held-out", 3) != identity("held-out", 4)
    with pytest.raises(ValueError, match="held-out"):
        identity("test", 0)


def test_pictures_keep_identity_and_change_nuisance():
    who = identity("held-out", 0)
    one, again, other = (draw(who, nuisance(s)) for s in (1, 1, 2))
    assert one.shape == (64, 64, 3) and one.dtype == np.uint8
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_sets_are_three_times_four_different_pictures():
    sets = subject_sets("mini:held-out/1", 64)
    everything = torch.cat(sets).flatten(1)
    assert everything.shape == (12, 3 * 64 * 64)
    assert torch.pdist(everything).min() > 1
    with pytest.raises(ValueError, match="mini:SPLIT/INDEX"):
        subject_sets("mini:held-out", 64)


def test_names_are_unique_and_leave_the_experiments_words_alone():
    some = names(500)
    assert len(set(some)) == 500 and not set(some) & RESERVED
    assert all(len(n) == 3 for n in some)


@pytest.mark.parametrize("kind", KINDS)
def test_degradations_change_pictures_and_are_named(kind):
    clean = draw(identity("train", 5), nuisance(9))
    rng = np.random.default_rng(0)
    assert degrade(clean, kind, rng).shape == clean.shape
    assert not np.array_equal(degrade(clean, kind, rng), clean)
    words = {"noise": "nois", "lowres": "low", "blur": "blur", "jpeg": "artifact"}
    caption = describe(identity("train", 5), nuisance(9), rng)
    assert all(words[kind] in describe_degraded(caption, kind, rng) for _ in range(10))


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns(kind):
    one = pattern(kind, np.random.default_rng(0))
    assert one.shape == (64, 64, 3) and one.std() > 1


def test_tokenizer_spells_any_word_and_ends_with_the_largest_id():
    words = tokenizer.build()
    ids = words("a photo of sks person, with t@t noisy pattern ö猫").input_ids
    assert words.eos_token_id == len(words) - 1 == max(ids) and ids[0] == words.bos_token_id
    assert words.decode(ids, skip_special_tokens=True).replace(" ", "").endswith("ö猫")
    for name in names(50):
        assert len(words.tokenize(name)) <= 3


class Killed(Exception):
    """Stands for a process that ends in the middle of a step."""


def fit_line(folder, workers=0, stop=None):
    """Forty steps of a linear model that learns to add three numbers."""
    torch.manual_seed(0)

    def draw(rng):
        return {"x": rng.standard_normal((8, 3)).astype(np.float32)}

    def loss_of(model, batch, generator):
        loss_of.steps += 1
        if loss_of.steps == stop:
            raise Killed
        x = batch["x"] + 0.01 * torch.randn(8, 3, generator=generator)
        return (model(x) - x.sum(1, keepdim=True)).square().mean()

    loss_of.steps = 0
    model = torch.nn.Linear(3, 1)
    machine = Machine(workers=workers)
    plan = TrainingPlan(folder, 40, machine=machine)
    return train("m", model, draw, loss_of, plan, lr=1e-2, save_every=0.0)


def test_training_resumes_bit_for_bit(tmp_path):
    whole = fit_line(tmp_path / "whole")
    with pytest.raises(Killed):
        fit_line(tmp_path / "cut", stop=25)
    resumed = fit_line(tmp_path / "cut")
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])
    assert json.loads((tmp_path / "cut" / "m.json").read_text())["steps"] == 40


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one_alone(tmp_path, monkeypatch):
    fit_line(tmp_path)
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())

    def full(state, place):
        Path(place).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "injected")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CannotWrite, match="disk is full"):
        fit_line(tmp_path)
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_batches_drawn_ahead_by_other_processes_are_the_same(tmp_path):
    here = fit_line(tmp_path / "here")
    ahead = fit_line(tmp_path / "ahead", workers=2)
    assert torch.equal(here.weight, ahead.weight)


def test_training_stops_on_nan(tmp_path):
    model = torch.nn.Linear(1, 1)

    def draw(rng):
        return {"x": np.ones((1, 1), np.float32)}

    def loss_of(model, batch, generator):
        return model(batch["x"]).sum() * float("nan")

    with pytest.raises(FloatingPointError, match="step 20"):
        train("m", model, draw, loss_of, TrainingPlan(tmp_path, 40), lr=1.0)


def test_the_plain_captions_never_name_noise_or_quality():
    rng = np.random.default_rng(0)
    texts = [describe(identity("train", i), nuisance(i), rng, name_noise=False) for i in range(500)]
    words = {word for text in texts for word in text.replace(",", "").split()}
    assert not words & {"noisy", "pattern", "without", "quality", "sharp", "clear", "blurry"}


def mean_change(picture, kind, strength):
    """Mean absolute change over eight draws, in grey levels."""
    spoiled = [damage(picture, kind, strength, np.random.default_rng(seed)) for seed in range(8)]
    return np.mean([np.abs(one.astype(float) - picture) for one in spoiled])


@pytest.mark.parametrize("kind", sorted(DAMAGES))
def test_damage_grows_with_its_strength(kind):
    picture = draw(identity("held-out", 0), nuisance(3))
    assert np.array_equal(damage(picture, kind, 0.0, np.random.default_rng(0)), picture)
    errors = [mean_change(picture, kind, strength) for strength in (0.2, 0.5, 1.0)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_damage_refuses_what_it_does_not_know():
    picture = np.zeros((64, 64, 3), np.uint8)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="grain"):
        damage(picture, "dirt", 0.5, rng)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        damage(picture, "grain", 1.5, rng)


def test_attributes_are_classes_and_a_bald_face_shows_no_hair_colour():
    bald = Identity("NONE", "RED", "PALE", "NONE", "ROUND", "SMALL")
    labels = dict(zip(GROUPS, labels_of(bald), strict=True))
    assert labels["hair_color"] == -1
    assert GROUPS["glasses"][labels["glasses"]] == "ROUND"
    bearded = replace(bald, facial_hair="BEARD_MEDIUM")
    labels = dict(zip(GROUPS, labels_of(bearded), strict=True))
    assert GROUPS["hair_color"][labels["hair_color"]] == "RED"
