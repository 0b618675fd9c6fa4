"""Published scores by hand, and the ways in which they can mislead."""

import math

import numpy as np
import pytest
import torch

from shortcut_nb.metrics.published import (
    clip_iqac,
    diffshortcut_ims,
    diffshortcut_q,
    diffshortcut_score,
    fdfr,
    ims_thresholded,
    ism,
)

NAN = float("nan")


def at(*cosines):
    """Vectors in the plane at these cosines to the first axis; NaN rows for None."""
    rows = [(NAN, NAN) if c is None else (c, math.sqrt(1 - c * c)) for c in cosines]
    return torch.tensor(rows, dtype=torch.float64)


PERSON = torch.tensor([[2.0, 0.0]], dtype=torch.float64)


def test_ism_leaves_failures_out_and_fdfr_counts_them():
    one_good = at(0.9, None, None, None)
    assert ism(one_good, PERSON) == pytest.approx(0.9)
    assert fdfr(one_good) == 0.75
    assert math.isnan(ism(at(None, None), PERSON)) and fdfr(at(None)) == 1
    assert ism(at(0.8, 0.2), PERSON) == pytest.approx(0.5)


def test_isms_person_is_the_mean_as_it_is():
    references = torch.tensor([[3.0, 0.0], [0.0, 1.0], [NAN, NAN]], dtype=torch.float64)
    expected = 3 / math.sqrt(10)  # to (1.5, 0.5), not to the mean of the directions
    assert ism(torch.tensor([[1.0, 0.0]], dtype=torch.float64), references) == pytest.approx(
        expected
    )
    with pytest.raises(ValueError, match="reference pictures with a face"):
        ism(at(0.5), at(None))


def test_metacloaks_ims_has_a_gap_between_a_weak_match_and_none():
    scores = ims_thresholded(at(1.0, 0.61, 0.59, -1.0, None), PERSON)
    assert np.allclose(scores, [1.0, 0.61, -1, -1, -1])
    assert not ((scores > -1) & (scores < 0.6)).any()


def test_metacloaks_ims_averages_only_the_references_within_the_threshold():
    references = at(1.0, 0.8, -0.5)
    alike = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert ims_thresholded(alike, references)[0] == pytest.approx(0.9)
    assert ims_thresholded(alike, references, threshold=2.0)[0] == pytest.approx(1.3 / 3)


def test_diffshortcuts_score_by_hand():
    assert diffshortcut_q(5, 1) == 1 and diffshortcut_q(1, -1) == -1 and diffshortcut_q(3, 0) == 0
    assert diffshortcut_ims(0.5, -1) == pytest.approx(0.05)
    assert diffshortcut_score(0.05, 0.45) == pytest.approx(0.25)
    # A failure pulls the score down by far more than a weak match does.
    weak, none = (diffshortcut_ims(np.array(v), np.array(v)) for v in (0.6, -1.0))
    assert weak - none == pytest.approx(1.6)


def test_clip_iqac_is_a_difference_of_two_probabilities(lab, subject):
    scores = clip_iqac(lab.clip, subject.b, "person")
    noise = clip_iqac(lab.clip, torch.rand(2, 3, 64, 64), "person")
    assert scores.shape == (4,) and (np.abs(np.r_[scores, noise]) <= 1).all()
    cosine = lab.clip.similarity(subject.b, ["a good photo of person", "a bad photo of person"])
    odds = 100 * (cosine[:, 0] - cosine[:, 1]).cpu().numpy()
    assert np.allclose(scores, np.tanh(odds / 2), atol=1e-4)
