"""Shifts with known answers, controls of equal size, correlations and the cover of intervals."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from shortcut_nb.analysis.concepts import CONCEPTS, concept_probabilities, ensemble, prompts
from shortcut_nb.analysis.controls import KINDS, at_linf, at_psnr
from shortcut_nb.analysis.correlation import rank_correlation, weighted_correlations
from shortcut_nb.analysis.denoising_shift import denoising_shift
from shortcut_nb.analysis.encoder_shift import encoder_shift, latent_shift, noise_pictures
from shortcut_nb.budget import linf_pixels
from shortcut_nb.metrics import psnr

from .tiny import pictures


def corner(images):
    """An encoder whose embedding can be set by hand: the first three values of a picture."""
    return images.flatten(1)[:, :3]


def held(*vectors):
    out = torch.zeros(len(vectors), 3, 8, 8)
    out.flatten(1)[:, :3] = torch.tensor(vectors)
    return out


def test_a_shift_is_split_along_the_axis_and_across_it():
    clean, noise = held([0.0, 0.0, 0.0], [0.2, 0.0, 0.0]), held([0.6, 0.0, 0.0], [0.6, 0.0, 0.0])
    moved = held([0.3, 0.4, 0.0], [0.1, 0.0, 0.0])
    shifts = encoder_shift(corner, moved, clean, noise)
    assert shifts["shift"].to_numpy() == pytest.approx([0.5, 0.1], abs=1e-6)
    assert shifts["towards"].to_numpy() == pytest.approx([0.3, -0.1], abs=1e-6)
    assert shifts["across"].to_numpy() == pytest.approx([0.4, 0.0], abs=1e-6)
    assert shifts["share"].to_numpy() == pytest.approx(
        [0.6, -0.2], abs=1e-6
    )  # the axis is 0.5 long
    other = encoder_shift(corner, moved, clean, noise, anchor=held([0.6, 0.3, 0.0]))
    assert other["towards"].to_numpy() == pytest.approx([-0.4, 0.0], abs=1e-6)
    with pytest.raises(ValueError, match="unlike"):
        encoder_shift(corner, moved, clean, held([0.1, 0.0, 0.0]))
    with pytest.raises(ValueError, match="for each of 1"):
        encoder_shift(corner, moved[:1], clean, noise)


def test_latents_and_losses_of_the_same_pictures_have_not_moved(lab, subject):
    few = {"timesteps": (300, 700), "draws": 1}
    # Exactly zero: only with the same draws for both sets.
    same = denoising_shift(lab.diffusion, subject.b, subject.b, "a photo of a person", **few)
    assert len(same) == 4 * 2 and (same[["misled", "loss"]].to_numpy() == 0).all()
    still = latent_shift(lab.diffusion, subject.b, subject.b)
    assert (still[["latent", "spread"]].to_numpy() == 0).all()
    moved = at_psnr("gaussian", subject.b, 24.0)
    weak = at_psnr("gaussian", subject.b, 34.0)
    far, near = (latent_shift(lab.diffusion, x, subject.b)["latent"] for x in (moved, weak))
    assert (far > near).all() and (near > 0).all()
    with pytest.raises(ValueError, match="match them"):
        denoising_shift(lab.diffusion, subject.b[:1], subject.b, "a photo of a person")


def test_pictures_of_noise_are_not_what_the_prompt_says(lab, subject):
    few = {"timesteps": (300, 600), "draws": 2}
    wrong = noise_pictures(4, 64, seed=1)
    shifts = denoising_shift(lab.diffusion, wrong, subject.b, "a photo of a person", **few)
    assert shifts["misled"].mean() > 0


def test_concepts_tell_people_from_patterns(lab, subject):
    mixed = torch.cat([subject.b, noise_pictures(4, 64)])
    probabilities = concept_probabilities(lab.clip, mixed)
    assert list(probabilities.columns) == ["image", "concept", "shows", "similarity", "probability"]
    assert probabilities.groupby("image")["probability"].sum().to_numpy() == pytest.approx(
        1, abs=1e-5
    )
    shows = probabilities.pivot_table(
        index="image", columns="shows", values="probability", aggfunc="sum"
    )
    assert (shows["class"][:4] > 0.9).all() and (shows["pattern"][4:] > 0.9).all()
    again = probabilities[probabilities["image"] == 5]
    expected = (lab.clip.image(mixed[5:6]) @ ensemble(lab.clip, prompts()).T)[0]
    assert again["similarity"].to_numpy() == pytest.approx(expected.detach().numpy(), abs=1e-4)
    assert again["concept"].to_list() == list(CONCEPTS)


def test_an_ensemble_is_the_mean_direction(lab):
    two = ["a photo of a person", "a noisy pattern"]
    texts = ensemble(lab.clip, {"both": two, "one": two[:1]})
    each = lab.clip.text(two)
    assert texts.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert float(texts[0] @ each[0]) == pytest.approx(float(texts[0] @ each[1]), abs=1e-5)
    torch.testing.assert_close(texts[1], each[0])
    assert "a photo of a cat" in prompts("cat")["clean"]
    with pytest.raises(ValueError, match="at least one"):
        ensemble(lab.clip, {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_wanted_psnr_is_met_by_every_picture(kind, subject):
    goals = [25.0, 28.0, 31.0, 34.0]
    images = at_psnr(kind, subject.b, goals, seed=3)
    assert psnr(images, subject.b) == pytest.approx(goals, abs=0.1)
    torch.testing.assert_close(images, (images * 255).round() / 255)
    assert torch.equal(images, at_psnr(kind, subject.b, goals, seed=3))
    level = [255 * 10 ** (-goal / 20) for goal in goals]
    rms = (images - subject.b).square().flatten(1).mean(1).sqrt() * 255
    assert rms.numpy() == pytest.approx(level, rel=0.012)  # 0.1 dB


@pytest.mark.parametrize("kind", KINDS)
def test_a_wanted_l_infinity_is_kept_and_used(kind, subject):
    distance = linf_pixels(at_linf(kind, subject.b, 16), subject.b)
    assert max(distance) <= 16
    assert min(distance) >= (8 if kind == "jpeg" else 14)


def test_what_cannot_be_met_is_said(subject):
    with pytest.raises(ValueError, match="cannot bring picture 0 to 3.0 dB"):
        at_psnr("jpeg", subject.b, 3.0)
    with pytest.raises(ValueError, match="kind must be one of"):
        at_psnr("sepia", subject.b, 30.0)
    with pytest.raises(ValueError, match="one for each of 4"):
        at_psnr("blur", subject.b, [30.0, 31.0])
    assert linf_pixels(at_linf("blur", pictures(1), 0), pictures(1)) == [0]


def test_the_plain_correlation_is_scipys():
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=40), 1)  # with ties
    y = x + rng.normal(size=40)
    result = rank_correlation(x, y, np.arange(40) % 8, resamples=200)
    assert result.value == pytest.approx(spearmanr(x, y)[0])
    assert result.low < result.value < result.high and (result.n, result.clusters) == (40, 8)
    assert result == rank_correlation(x, y, np.arange(40) % 8, resamples=200)
    gap = rank_correlation([*x, np.nan], [*y, 0.0], [*np.arange(40) % 8, 0], resamples=0)
    assert gap.value == result.value and gap.n == 40 and np.isnan(gap.low)


@pytest.mark.parametrize("own", [0.0, 0.6])
def test_the_partial_correlation_of_gaussians_is_known(own):
    """x and y share z, and beyond it have correlation ``own``; Spearman's ρ is 6/π·asin(r/2)."""
    rng = np.random.default_rng(1)
    z, a, b = rng.normal(size=(3, 40_000))
    x, y = z + a, z + own * a + np.sqrt(1 - own**2) * b
    ranked = [6 / np.pi * np.arcsin(r / 2) for r in ((1 + own) / 2, 2**-0.5, 2**-0.5)]
    expected = (ranked[0] - ranked[1] * ranked[2]) / (1 - ranked[1] ** 2)
    labels = np.arange(len(z)) % 5
    assert rank_correlation(x, y, labels, z, 0).value == pytest.approx(expected, abs=0.015)
    assert rank_correlation(x, y, labels, None, 0).value == pytest.approx(ranked[0], abs=0.015)


def test_counting_a_row_twice_is_having_it_twice():
    rng = np.random.default_rng(2)
    x, y = np.round(rng.normal(size=(2, 12)), 1)
    times = rng.integers(0, 4, 12)
    expected = spearmanr(np.repeat(x, times), np.repeat(y, times))[0]
    assert weighted_correlations([x, y], times[None].astype(float))[0] == pytest.approx(expected)


def test_what_has_no_correlation_is_refused():
    with pytest.raises(ValueError, match="constant"):
        rank_correlation([1, 1, 1, 1], [1, 2, 3, 4], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="at least 4"):
        rank_correlation([1, 2, 3], [1, 2, 3], [0, 1, 2])
    with pytest.raises(ValueError, match="as many values"):
        rank_correlation([1, 2], [1, 2, 3, 4], [0, 0, 1, 1])
    same = rank_correlation([1, 2, 3, 5], [2, 1, 3, 4], [0, 0, 1, 1], [1, 2, 3, 4])
    assert np.isnan(same.value)  # x has nothing beyond what is given


def people(rng, count, attacks=8):
    """Attack effects shared by all, subjects with effects of their own: clustered rows."""
    effect = np.linspace(-1, 1, attacks)
    size, who = rng.normal(0, 0.7, (count, attacks)), rng.normal(0, 0.7, (count, 2, 1))
    x = effect + size + who[:, 0] + rng.normal(0, 0.5, (count, attacks))
    y = 0.6 * effect + size + who[:, 1] + rng.normal(0, 0.5, (count, attacks))
    return x.ravel(), y.ravel(), np.repeat(np.arange(count), attacks), size.ravel()


@pytest.mark.parametrize(("count", "partial"), [(6, False), (6, True), (12, True)])
def test_intervals_over_subjects_cover_what_they_say(count, partial):
    x, y, _, size = people(np.random.default_rng(99), 6000)
    labels = np.arange(len(x)) % 2
    truth = rank_correlation(x, y, labels, size if partial else None, 0).value
    hits, runs = 0, 150
    for i in range(runs):
        x, y, who, size = people(np.random.default_rng(i), count)
        result = rank_correlation(x, y, who, size if partial else None, 400, seed=i)
        hits += result.low <= truth <= result.high
    assert 0.90 <= hits / runs <= 0.99
