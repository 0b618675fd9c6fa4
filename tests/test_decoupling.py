"""CDL in pieces, and the variants that add to it: what is said, and that every switch is one."""

import pytest
import torch
from torch import Generator

from shortcut_nb import Lab
from shortcut_nb.budget import Budget, linf_pixels
from shortcut_nb.latents import latents_of
from shortcut_nb.personalize import PROMPTS
from shortcut_nb.personalize.decoupling import Decoupled, NoisePrior, Pairs, degraded
from shortcut_nb.personalize.prepared import Prepared
from shortcut_nb.personalize.prompts import joined, noise_tokens
from tests.small_runs import CONSTANT, trained_alike

SMALL = {"steps": 2, "class_images": 4, "batch_size": 2, "lr": 1e-4}
N = "t@t noisy pattern"


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


def make(lab, **more):
    return lab.personalize("cdl-dreambooth", **{**SMALL, **more})


def test_each_piece_of_cdl_adds_its_words(subject):
    own, cls = subject.instance_prompt, subject.class_prompt
    prompts = {form: PROMPTS[form](subject, N, "noisy") for form in PROMPTS}
    assert prompts["noise-token"].instance == prompts["cdl"].instance == f"{own}, with {N}"
    assert prompts["noise-token"].class_ == cls
    assert prompts["noise-token+class"].class_ == prompts["cdl"].class_ == f"{cls}, without {N}"
    for form in ("noise-token", "noise-token+class"):
        assert (prompts[form].sample, prompts[form].sample_class) == (own, cls)
        assert prompts[form].negative == ""
        assert PROMPTS[form](subject, "", "noisy") == prompts["plain"]


def test_several_noise_tokens_are_one_phrase():
    tokens = noise_tokens(N, 3)
    assert tokens == [N, "q@q noisy pattern", "z@z noisy pattern"]
    assert joined(tokens) == "t@t q@q z@z noisy pattern" and joined(tokens[:1]) == N
    assert len(set(noise_tokens("q@q noise", 7))) == 7
    for count in (0, 99):
        with pytest.raises(ValueError, match="1 to 8"):
            noise_tokens(N, count)


def test_all_switches_off_is_plain_cdl_bit_for_bit(lab, subject):
    cdl = lab.personalize("dreambooth", prompts="cdl", **SMALL).fit(subject)
    assert trained_alike(make(lab).fit(subject), cdl)
    # Every switch that has a weight, at weight zero; a token per picture with a single token.
    off = make(lab, pair_weight=0.0, pair_eps="32/255", contrast=0.0, margin=9.0, per_picture=True)
    fitted = off.fit(subject)
    assert trained_alike(fitted, cdl) and fitted.prompts == cdl.prompts


def test_cdl_with_an_empty_noise_phrase_is_plain_dreambooth_bit_for_bit(lab, subject):
    silent = lab.profile.prompts.model_copy(update={"noise_token": ""})
    other = Lab(lab.profile.model_copy(update={"prompts": silent}), "cpu", torch.float32)
    plain = lab.personalize("dreambooth", **SMALL).fit(subject)
    for name in ("dreambooth", "cdl-dreambooth"):
        assert trained_alike(other.personalize(name, prompts="cdl", **SMALL).fit(subject), plain)


@pytest.mark.parametrize(
    "switch",
    [
        {"tokens": 3},
        {"tokens": 3, "per_picture": True},
        {"pair_weight": 1.0},
        {"contrast": 1.0, "margin": 5.0},
        {"noise_prior_weight": 1.0},
    ],
    ids=lambda switch: "-".join(switch),
)
def test_each_switch_changes_the_training_and_can_be_resumed(lab, subject, switch, tmp_path):
    switch = switch | CONSTANT  # a rate that moves knows how many steps there will be
    whole = make(lab, **switch).fit(subject)
    plain = lab.personalize("dreambooth", prompts="cdl", **SMALL, **CONSTANT)
    assert not trained_alike(whole, plain.fit(subject))
    path = tmp_path / "run.ckpt"
    make(lab, **switch, **{"steps": 1}).fit(subject, checkpoint=path, every=1)
    assert trained_alike(make(lab, **switch).fit(subject, checkpoint=path), whole)


def test_a_picture_is_trained_under_its_own_token(lab, subject, monkeypatch):
    model = lab.diffusion.clone()
    prompts = tuple(f"{subject.instance_prompt}, with {token}" for token in noise_tokens(N, 3))
    data, seen = latents_of(model, subject.b), []
    real = type(model).predict
    monkeypatch.setattr(type(model), "predict", lambda self, *a: seen.append(a) or real(self, *a))
    trainee = Decoupled(
        model, ("unsaid", "class"), None, lr=1e-4, batch_size=4, per_picture=prompts
    )
    with torch.no_grad():
        trainee.loss(data, Generator().manual_seed(0))
        order = torch.randperm(4, generator=Generator().manual_seed(0))
        expected = model.embed([prompts[i % 3] for i in order.tolist()])
    torch.testing.assert_close(seen[0][3], expected)


def with_losses(model, losses, monkeypatch, **more):
    """A trainee whose denoising losses are given: two instance rows, then the further ones."""
    seen = []

    def known(self, z, t, noise, context):
        seen.append([part[2:] for part in (z, t, noise, context)])
        return torch.tensor([0.0, 0.0, *losses], requires_grad=True)

    monkeypatch.setattr(type(model), "denoising_loss", known)
    return Decoupled(model, ("i", "c"), None, lr=1e-4, batch_size=2, **more), seen


def test_the_contrastive_loss_is_a_hinge_on_the_ratio(lab, subject, monkeypatch):
    model = lab.diffusion.clone()
    data = latents_of(model, subject.b)
    for losses, expected in ([2.0, 2.1], 1 + 0.1 - 1.05), ([2.0, 3.0], 0.0):
        how = {"apart": ("with", "without"), "contrast": 3.0}
        trainee, seen = with_losses(model, losses, monkeypatch, **how)
        value = trainee.loss(data, Generator().manual_seed(0))
        assert value.item() == pytest.approx(3 * expected, abs=1e-5)
        z, t, noise, context = seen[0]
        assert torch.equal(z[0], z[1]) and t[0] == t[1] and torch.equal(noise[0], noise[1])
        torch.testing.assert_close(context, model.embed(["with", "without"]))


def test_pairs_differ_in_noise_and_words_alone(lab, subject, monkeypatch):
    model = lab.diffusion.clone()
    noisy = degraded(subject.b, Budget.parse("16/255"), 0)
    pairs = Pairs(latents_of(model, subject.b), latents_of(model, noisy), ("no noise", "noise"))
    pairs.clean.std.zero_(), pairs.noisy.std.zero_()
    trainee, seen = with_losses(model, [1.0, 3.0], monkeypatch, pairs=pairs, pair_weight=0.5)
    value = trainee.loss(pairs.clean, Generator().manual_seed(0))
    assert value.item() == pytest.approx(0.5 * 2.0)
    z, t, noise, context = seen[0]
    row = next(i for i in range(4) if torch.equal(z[0], pairs.clean.mean[i]))
    assert torch.equal(z[1], pairs.noisy.mean[row])
    assert t[0] == t[1] and torch.equal(noise[0], noise[1])
    torch.testing.assert_close(context, model.embed(["no noise", "noise"]))


def test_the_noise_prior_is_trained_under_the_words_that_name_noise(lab, subject, monkeypatch):
    model = lab.diffusion.clone()
    data = latents_of(model, subject.b)
    prior = NoisePrior(data, "with noise")
    trainee, seen = with_losses(
        model, [1.0], monkeypatch, noise_prior=prior, noise_prior_weight=0.5
    )
    assert trainee.loss(data, Generator().manual_seed(0)).item() == pytest.approx(0.5)
    torch.testing.assert_close(seen[0][3], model.embed(["with noise"]))


def test_the_noise_prior_is_what_the_model_draws_of_named_noise(lab, subject):
    trainer = make(lab, noise_prior_weight=1.0)
    method = trainer.method(subject)
    words = trainer.words(subject)
    prepared = Prepared(subject, lab, lab.diffusion.clone(), method, words)
    prior = trainer.trainee(prepared).noise_prior
    assert prior.prompt == f"{subject.class_prompt}, with {N}"
    drawn = lab.prior_latents(prior.prompt, SMALL["class_images"])
    assert torch.equal(prior.latents.mean, drawn.mean)


def test_degraded_pictures_stay_in_the_ball_and_depend_on_the_seed(subject):
    budget = Budget.parse("8/255")
    images = degraded(subject.b, budget, 0)
    assert images.min() >= 0 and images.max() <= 1
    assert all(4 <= change <= 8 for change in linf_pixels(images, subject.b))
    assert torch.equal(images, degraded(subject.b, budget, 0))
    assert not torch.equal(images, degraded(subject.b, budget, 1))
    # Blurred noise has less energy between neighbours.
    field = images - subject.b
    rough = (field[..., 1:] - field[..., :-1]).square().mean((1, 2, 3)) / field.square().mean(
        (1, 2, 3)
    )
    assert rough[0] > 2 * rough[1] > 2 * rough[2]


def test_bad_switches_are_refused(lab, subject):
    with pytest.raises(ValueError, match="nothing to set apart"):
        make(lab, prompts="plain", pair_weight=1.0).fit(subject)
    with pytest.raises(ValueError, match="nothing to set apart"):
        make(lab, prompts="plain", noise_prior_weight=1.0).fit(subject)
    with pytest.raises(ValueError, match="contrast must be a number, at least 0"):
        make(lab, contrast=-1.0)
    with pytest.raises(ValueError, match="1 to 8"):
        make(lab, tokens=50)
    with pytest.raises(ValueError, match="k/255"):
        make(lab, pair_eps="0.1")
