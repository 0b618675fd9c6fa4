"""How the miniature's models are measured: against independent formulas and known pictures."""

import numpy as np
import pytest
import torch

from shortcut_nb.errors import UserError
from shortcut_nb.mini.avatars import BACKGROUNDS, draw, identity, nuisance
from shortcut_nb.mini.evaluate import MEASURES, evaluate, held_out, in_folder
from shortcut_nb.mini.evaluate.card import BARS, FURTHER, judge
from shortcut_nb.mini.evaluate.damage import spoiled
from shortcut_nb.mini.evaluate.pictures import to_batch
from shortcut_nb.mini.evaluate.text_to_image import background_of, kernel_distance


def test_kernel_distance_is_the_unbiased_estimate():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 5)), rng.standard_normal((9, 5)) + 0.5

    def k(a, b):
        return (a @ b / 5 + 1) ** 3

    pairs = [k(x[i], x[j]) for i in range(7) for j in range(7) if i != j]
    others = [k(y[i], y[j]) for i in range(9) for j in range(9) if i != j]
    across = [k(a, b) for a in x for b in y]
    expected = np.mean(pairs) + np.mean(others) - 2 * np.mean(across)
    got = kernel_distance(torch.from_numpy(x), torch.from_numpy(y))
    assert got == pytest.approx(expected)


def test_kernel_distance_of_one_distribution_is_about_nothing():
    rng = np.random.default_rng(1)
    x, y = (torch.from_numpy(rng.standard_normal((400, 8))) for _ in range(2))
    far = y + 0.5
    assert abs(kernel_distance(x, y)) < 0.05 * kernel_distance(x, far)


def test_background_is_read_off_the_corners():
    drawn = [(identity("held-out", i), nuisance(700 + i)) for i in range(40)]
    read = background_of(to_batch([draw(*one) for one in drawn]))
    assert np.mean(read == np.array([how.background for _, how in drawn])) > 0.8
    assert set(read) <= set(BACKGROUNDS)


def test_every_bar_belongs_to_a_measure():
    for key, sign, _ in BARS + FURTHER:
        assert key.split(".")[0] in MEASURES
        assert sign in (">=", "<=")


def test_bars_are_judged_in_their_direction():
    measured = {"vae": {"psnr_clean": 30.0, "attributes_lost": 3.0}}
    bars = (("vae.psnr_clean", ">=", 29.0), ("vae.attributes_lost", "<=", 2.0), ("clip.x", ">=", 1))
    assert [row["reached"] for row in judge(measured, bars)] == [True, False]


def test_models_in_training_are_taken_from_their_folder(tmp_path):
    (tmp_path / "detector").mkdir()
    profile = in_folder(tmp_path)
    assert profile.detector.id == str((tmp_path / "detector").resolve())
    assert profile.diffusion.id == "package:mini/weights/diffusion"
    with pytest.raises(UserError, match="no folder"):
        evaluate(weights=tmp_path / "nothing")
    with pytest.raises(UserError, match="text_to_image"):
        evaluate(only=["text"])


@pytest.mark.slow
def test_the_shipped_detector_reaches_its_bars(lab):
    judged = evaluate(only=["detector"], lab=lab)
    assert [bar["key"] for bar in judged["bars"]] == ["detector.found", "detector.false_alarms"]
    assert all(bar["reached"] for bar in judged["bars"])


def test_damage_is_the_same_for_the_same_seed():
    images, _ = held_out(2, 1, 0)
    first, again = (spoiled(images, "grain", 0.5, 3) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, images)
