"""The synthetic world: identities, captions, degradations, and a training loop that resumes."""

import json

import numpy as np
import pytest
import torch

from shortcut_nb.mini.avatars import SPLITS, Identity, draw, identity, nuisance
from shortcut_nb.mini.captions import RESERVED, describe, describe_degraded, names
from shortcut_nb.mini.degradations import KINDS, PATTERNS, degrade, pattern
from shortcut_nb.mini.pretrain import tokenizer
from shortcut_nb.mini.pretrain.loop import train
from shortcut_nb.mini.pretrain.pool import PoolSize
from shortcut_nb.mini.subjects import subject_sets


def without_nose(who: Identity) -> tuple:
    return (who.hair, who.hair_color, who.skin, who.facial_hair, who.glasses)


def test_splits_never_share_a_person_not_even_but_for_the_nose():
    trained = {i for i, _ in PoolSize().rows}
    people = {s: {without_nose(identity(s, i)) for i in range(400)} for s in SPLITS[1:]}
    people["train"] = {without_nose(identity("train", i)) for i in trained}
    assert len(trained) == 384 + 2400
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
    said = describe(identity("train", 5), nuisance(9), rng)
    assert all(words[kind] in describe_degraded(said, kind, rng) for _ in range(10))


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


def test_training_resumes_bit_for_bit(tmp_path):
    def run(folder, stop=None):
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 1)

        def loss(generator, step):
            if step == stop:
                raise KeyboardInterrupt
            x = torch.randn(8, 3, generator=generator)
            return (model(x) - x.sum(1, keepdim=True)).square().mean()

        return train("m", model, loss, folder, steps=40, lr=1e-2, save_every=0.0)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=25)
    resumed = run(tmp_path / "cut")
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])
    assert json.loads((tmp_path / "cut" / "m.json").read_text())["steps"] == 40


def test_training_stops_on_nan(tmp_path):
    model = torch.nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="step 0"):
        train("m", model, lambda g, s: model.weight.sum() * float("nan"), tmp_path, steps=2, lr=1.0)
