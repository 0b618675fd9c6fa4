"""Analyses against their formulas, written out a second time."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr, t

from shortcut_nb.analysis.attention import drawn_maps, recorded, token_maps, token_span
from shortcut_nb.analysis.clip_shift import clip_shift
from shortcut_nb.analysis.concepts import CLASS, CONCEPTS, prompts
from shortcut_nb.analysis.controls import at_linf, at_psnr
from shortcut_nb.analysis.correlation import rank_correlation
from shortcut_nb.analysis.denoising_shift import denoising_shift
from shortcut_nb.analysis.encoder_shift import latent_shift
from shortcut_nb.analysis.gradients import gradient_agreement
from shortcut_nb.analysis.lead import steps_of
from shortcut_nb.analysis.mediation import mediation
from shortcut_nb.analysis.overlap import texture_map
from shortcut_nb.analysis.shift_and_harm import correlation
from shortcut_nb.analysis.spectrum import spectrum, spectrum_match
from shortcut_nb.analysis.timesteps import timestep_losses
from shortcut_nb.analysis.traits import traits


def pictures(n, size=32, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_a_look_is_placed_at_the_step_at_which_training_stopped():
    """0.29 of 100 steps is 28.999… to a computer."""
    seen = pd.Series([0.29, 0.33, 1.0])
    stopped = [round(share * 100) for share in (0.29, 1 / 3, 1.0)]
    assert steps_of(seen, (0.29, 1 / 3), 100).tolist() == stopped == [29, 33, 100]
    assert steps_of(seen, (0.29, 1 / 3), 200).tolist() == [58, 67, 200]


def test_texture_is_found_in_the_tile_in_which_it_lies():
    x = torch.full((1, 3, 32, 32), 0.5)
    x[..., :8, 24:] = pictures(1, 8)
    tiles = texture_map(x, 4)[0]
    assert tiles[0, 3] > 10 and (tiles > 0).sum() == 1


def test_shares_of_a_spectrum_sum_to_one_over_its_bins():
    """Beyond half a cycle a pixel lie the corners, which are in no bin."""
    frame = spectrum(pictures(2))
    assert frame["share"].sum() == pytest.approx(1)
    high, low = frame["share"].iloc[[-1, 1]]
    x = pictures(2).double()
    power = torch.fft.fft2(x - x.mean((2, 3), keepdim=True)).abs().square().mean((0, 1)).numpy()
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    inside = radius < 0.5
    width = 0.5 / len(frame)
    for got, edge in ((low, width), (high, 0.5 - width)):
        band = (radius >= edge - 1e-12) & (radius < edge + width - 1e-12)
        assert got == pytest.approx(power[band].sum() / power[inside].sum(), rel=1e-6)


def test_spectra_match_as_the_logarithms_of_their_powers_do():
    """Powers of pictures span decades, and the largest would decide alone."""
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"frequency": np.arange(12.0), "power": 10 ** rng.uniform(-6, 2, 12)})
        for _ in range(2)
    ]
    frames[0].loc[3, "power"] = 0.0  # of no power in one, and left out
    one, two = (np.log(frame["power"].drop(3)) for frame in frames)
    one, two = one - one.mean(), two - two.mean()
    want = (one * two).sum() / np.sqrt((one**2).sum() * (two**2).sum())
    assert spectrum_match(*frames) == pytest.approx(want)


def test_a_person_is_described_by_the_mean_of_the_pictures(lab):
    """Not by the first of them, which may show someone else."""
    person, other = lab.subject("mini:held-out/4"), lab.subject("mini:held-out/0")
    images = torch.cat([other.b[:1], person.b])
    mean = lab.clip.image(images).mean(0)
    kinds = (("dark skin", "light skin"), ("red hair", "brown hair"))
    texts = [[f"{person.class_prompt} with {word}" for word in words] for words in kinds]
    want = [words[int((lab.clip.text(each) @ mean).argmax())]
            for words, each in zip(kinds, texts, strict=True)]  # fmt: skip
    said = traits(lab.clip, images, person.class_prompt, kinds)
    assert said == " and ".join(want)
    assert said != traits(lab.clip, other.b[:1], person.class_prompt, kinds)


def test_changes_of_likeness_are_differences_of_cosines(quick_lab):
    clip, x, clean = quick_lab.clip, pictures(2), pictures(2, seed=1)
    words = "a photo of a person", "a noisy pattern"
    moved = clip_shift(clip, x, *words, reference=clean)
    with torch.no_grad():
        rise = (clip.image(x) - clip.image(clean)) @ clip.text(list(words)).T
    for column, want in zip(("concept_change", "noise_change"), rise.T, strict=True):
        assert moved[column].to_numpy() == pytest.approx(want.numpy(), abs=1e-6)
    assert (moved["concept_change"] - moved["noise_change"]).abs().min() > 2e-5


def shifts_and_harms(people=5, attacks=4, seed=0):
    """Rows of a shift, a harm that follows it, and what both follow."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), attacks)
    shared = rng.normal(size=len(who))
    shift = shared + rng.normal(size=len(who))
    harm = shift + shared + rng.normal(size=len(who))
    return who, shift, harm, shared


def test_the_interval_of_a_correlation_is_students_over_people_drawn_again():
    """In Fisher's z; a few people spread less among themselves than people do."""
    who, shift, harm, _ = shifts_and_harms()
    got = rank_correlation(shift, harm, who, resamples=200, seed=3)
    z = []
    for counts in np.random.default_rng(3).multinomial(5, np.full(5, 1 / 5), 200):
        rows = np.repeat(np.arange(len(who)), counts[who])
        value = spearmanr(shift[rows], harm[rows]).statistic
        z += [np.arctanh(value)] if abs(value) < 1 - 1e-9 else []
    half = t.ppf(0.975, 4) * np.std(z) * np.sqrt(5 / 4)
    middle = np.arctanh(spearmanr(shift, harm).statistic)
    assert (got.low, got.high) == pytest.approx((np.tanh(middle - half), np.tanh(middle + half)))


def test_the_interval_of_a_path_is_students_over_people_drawn_again():
    who, shift, harm, x = shifts_and_harms()
    got = mediation(x, {"shift": shift}, harm, who, resamples=100, seed=2).table
    rng, paths = np.random.default_rng(2), []
    within = [np.stack([x, shift, harm], 1)[who == one] for one in range(5)]
    within = [rows - rows.mean(0) for rows in within]
    for _ in range(100):
        a, m, y = np.concatenate([within[i] for i in rng.integers(5, size=5)]).T
        direct, b = np.linalg.solve([[a @ a, a @ m], [a @ m, m @ m]], [a @ y, m @ y])
        paths.append([a @ y / (a @ a), direct, b * (a @ m) / (a @ a)])
    half = t.ppf(0.975, 4) * np.std(paths, axis=0) * np.sqrt(5 / 4)
    assert (got["high"] - got["effect"]).to_numpy() == pytest.approx(half)
    assert (got["effect"] - got["low"]).to_numpy() == pytest.approx(half)
    assert got["effect"][0] == pytest.approx(got["effect"][1] + got["effect"][2])


def test_what_is_held_equal_is_taken_out_of_both_ranks():
    """And a purified condition is none that was attacked."""
    who, shift, harm, psnr = shifts_and_harms(8, 5)
    shift, harm = shift + 2 * psnr, harm + 2 * psnr
    names = np.tile(["a", "b", "c", "d", "e"], 8)
    rows = pd.DataFrame({
        "condition": names, "subject": who, "kind": np.where(names == "e", "purified", "attack"),
        "shift": shift, "quality": harm, "psnr": psnr,
    })  # fmt: skip
    own = rows[rows["kind"] == "attack"][["shift", "quality", "psnr"]].rank().to_numpy()
    xy, xz, yz = np.corrcoef(own.T)[np.triu_indices(3, 1)]
    partial = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    got = correlation(rows, "shift", "quality", "psnr", 0)
    assert got["value"] == pytest.approx(partial) and abs(partial - xy) > 0.1
    assert got["n"] == 32 and got["conditions"] == 4
    assert correlation(rows, "shift", "quality", None, 0)["value"] == pytest.approx(xy)


def test_a_concept_shows_the_class_where_its_words_name_it():
    for name, texts in prompts("zebra").items():
        assert {"zebra" in text for text in texts} == {CONCEPTS[name][0] == CLASS}


@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
def test_noise_of_a_size_goes_both_ways_and_each_picture_has_its_own(kind):
    grey = torch.full((2, 3, 32, 32), 128 / 255)
    for spoilt in (at_linf(kind, grey, 16), at_psnr(kind, grey, 25.0)):
        noise = spoilt - grey
        assert noise.mean().abs() < 0.1 * noise.std()
        assert (noise > 0).float().mean() == pytest.approx(0.5, abs=0.05)
        one, two = noise.flatten(1)
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_the_rise_of_a_loss_is_under_the_prompt(tiny_lab):
    """And what misleads is how much more it rises than under no words."""
    model, images, clean = tiny_lab.diffusion, pictures(2, 64), pictures(2, 64, seed=1)
    how = {"timesteps": (300, 600), "draws": 2, "seed": 3}
    got = denoising_shift(model, images, clean, "a photo of a person", **how)
    with_words, without = (
        after["conditional"] - before["conditional"]
        for text in ("a photo of a person", "")
        for before, after in [
            [timestep_losses(model, x, text, **how, empty=False) for x in (clean, images)]
        ]
    )
    place = timestep_losses(model, clean, "", **how, empty=False)
    each = place.assign(loss=with_words, misled=with_words - without)
    want = each.groupby(["image", "timestep"])[["misled", "loss"]].mean().reset_index()
    for column in ("loss", "misled"):
        assert got[column].to_numpy() == pytest.approx(want[column].to_numpy(), abs=1e-5)


def test_the_shift_of_latents_is_a_root_mean_square(tiny_lab):
    """Whatever their number: of a larger picture it is no larger for that."""
    model, images, clean = tiny_lab.diffusion, pictures(2, 64), pictures(2, 64, seed=1)
    with torch.no_grad():
        (mean, std), (own, wide) = model.posterior(images), model.posterior(clean)
    got = latent_shift(model, images, clean)
    for column, change in (("latent", mean - own), ("spread", std - wide)):
        each = [float(np.sqrt(np.mean(row.numpy() ** 2))) for row in change]
        assert got[column].to_numpy() == pytest.approx(each, rel=1e-4)


def test_a_phrase_is_attended_to_as_its_words_are_together(tiny_lab):
    words = ["sks person", "sks", "person"]
    maps = token_maps(tiny_lab.diffusion, pictures(2, 64), "a photo of sks person", words)
    torch.testing.assert_close(maps["sks person"], maps["sks"] + maps["person"])
    assert maps["sks"].min() > 0


def test_maps_of_sampling_are_of_the_prompt_and_not_of_what_it_is_guided_away_from(tiny_lab):
    model, prompt, negative = tiny_lab.diffusion, "a photo of sks person", "blurry sks noise"
    how = {"seed": 3, "steps": 2, "guidance_scale": 3.0, "negative": negative}
    _, maps = drawn_maps(model, prompt, ["sks"], 2, **how)
    asked = []

    def listen(unet, args, kwargs):
        asked.append(kwargs.get("encoder_hidden_states", args[-1]))

    hook = model.pipe.unet.register_forward_pre_hook(listen, with_kwargs=True)
    try:
        with recorded(model) as both:
            model.sample_latents(prompt, 2, batch=2, **how)
    finally:
        hook.remove()
    with torch.no_grad():
        own = model.embed([prompt])[0]
    rows = [i for i, state in enumerate(asked[0]) if torch.allclose(state, own, atol=1e-5)]
    assert len(rows) == 2 and len(asked[0]) == 4
    words = token_span(model, prompt, "sks")
    torch.testing.assert_close(maps["sks"], both.mean[rows][:, words].sum(1))
    assert rows == [2, 3]


class Brightens:
    """A purifier that goes beyond white, as networks do."""

    def differentiable(self, x):
        return 1.5 * x.square() + 0.2

    def __call__(self, x):
        return self.differentiable(x).clamp(0, 1)


def test_a_gradient_is_that_of_what_is_seen_of_a_purified_picture(tiny_lab):
    """Beyond white nothing changes, and nothing is to be gained."""
    model, x = tiny_lab.diffusion, pictures(2, 64).requires_grad_()
    seen = (1.5 * x.square() + 0.2).clamp(0, 1)
    behind = seen.detach().requires_grad_()
    slope = torch.autograd.grad(model.posterior(behind.clamp(0, 1))[0].square().sum(), behind)[0]
    full = slope * 3 * x.detach() * (1.5 * x.detach().square() + 0.2 < 1)
    plain = torch.autograd.grad(model.posterior(x)[0].square().sum(), x)[0]
    got = gradient_agreement(model, Brightens(), x.detach())
    want = torch.cosine_similarity(slope.flatten(1), full.flatten(1)).mean()
    assert got["straight through"] == pytest.approx(float(want), abs=1e-4)
    want = torch.cosine_similarity(plain.flatten(1), full.flatten(1)).mean()
    assert got["no purifier"] == pytest.approx(float(want), abs=1e-4)
