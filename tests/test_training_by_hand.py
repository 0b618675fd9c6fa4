"""What a training draws, weighs and moves, written out a second time."""

from dataclasses import replace

import pytest
import torch

from shortcut_nb.budget import Budget
from shortcut_nb.latents import Latents, latents_of
from shortcut_nb.personalize.decoupling import degraded
from shortcut_nb.personalize.prepared import Prepared
from shortcut_nb.personalize.prompts import PROMPTS
from shortcut_nb.personalize.token import add_token, table_of
from shortcut_nb.personalize.trainee import Trainee


@pytest.fixture(scope="session")
def lab(quick_lab):
    return quick_lab


@pytest.fixture(scope="module")
def subject(pair):
    return pair


@pytest.mark.parametrize("name", ["dreambooth", "dreambooth-lora", "custom-diffusion"])
def test_the_text_encoder_has_its_own_rate(lab, subject, name):
    trainer, model = lab.personalize(name), lab.diffusion.clone()
    method = trainer.method(subject)
    method.prepare(model, 0)
    groups = method.groups(model, 1e-3, 1e-5)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    unet = [rates[id(p)] for p in model.pipe.unet.parameters() if id(p) in rates]
    text = [rates[id(p)] for p in model.text.parameters() if id(p) in rates]
    assert set(unet) == {1e-3} and set(text) == {1e-5} and len(unet) + len(text) == len(rates)
    (alone,) = method.groups(model, 1e-3, 0.0)
    assert {id(p) for p in alone["params"]} <= {id(p) for p in model.pipe.unet.parameters()}


@pytest.mark.parametrize("name", ["dreambooth-lora", "textual-inversion", "custom-diffusion"])
def test_before_its_first_step_a_method_changes_nothing(lab, subject, name):
    """Adapters begin at zero, copies at what they are copies of."""
    model, base = lab.diffusion.clone(), lab.diffusion
    lab.personalize(name).method(subject).prepare(model, 0)
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        context = base.embed(["a photo of a person"]).expand(2, -1, -1)
        torch.testing.assert_close(model.embed(["a photo of a person"]), context[:1])
        t = torch.tensor([10, 700])
        torch.testing.assert_close(model.denoise(z, t, context), base.denoise(z, t, context),
                                   rtol=1e-4, atol=1e-5)  # fmt: skip


def test_an_adapter_counts_fully(lab, subject):
    """W + B A, with no factor: alpha is the rank."""
    model = lab.diffusion.clone()
    lab.personalize("dreambooth-lora", rank=3).method(subject).prepare(model, 0)
    layer = model.pipe.unet.get_submodule(next(
        name.removesuffix(".lora_A") for name, _ in model.pipe.unet.named_modules()
        if name.endswith(".to_k.lora_A")
    ))  # fmt: skip
    a, b = (part["default"].weight.data for part in (layer.lora_A, layer.lora_B))
    b.copy_(torch.randn(b.shape, generator=torch.Generator().manual_seed(0)))
    x = torch.randn(2, a.shape[1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer.base_layer(x) + x @ a.T @ b.T)
    assert a.shape[0] == 3


def test_a_new_word_begins_as_the_class(lab):
    model = lab.diffusion.clone()
    row = add_token(model, "<new>", "person")
    ids = model.pipe.tokenizer("person", add_special_tokens=False).input_ids
    before = table_of(lab.diffusion)
    torch.testing.assert_close(table_of(model)[row], before[ids].mean(0))


def test_a_trainers_settings_reach_the_training(lab, subject):
    how = {"weight_decay": 0.2, "prior_dropout": 0.5, "prior_weight": 0.3, "lr": 1e-4,
           "text_lr": 1e-5, "batch_size": 2, "snr_gamma": 5.0, "ema_decay": 0.9,
           "lr_scheduler": "cosine", "warmup": 2}  # fmt: skip
    trainer = lab.personalize("dreambooth", class_images=4, **how).settings
    method, words = trainer.method(subject), trainer.words(subject, lab.profile)
    trainee = trainer.trainee(Prepared(subject, lab, lab.diffusion.clone(), method, words))
    assert {name: getattr(trainee, name) for name in how} == how
    assert {group["weight_decay"] for group in trainee.optimiser.param_groups} == {0.2}


def test_gradients_are_clipped_to_length_one(lab, subject):
    model = lab.diffusion.clone()
    data = latents_of(model, subject.b)
    prior = Latents(data.mean * 50, data.std)  # far off: a large gradient
    lengths = []
    for most in (1.0, None):
        trainee = Trainee(model, ("sks person", "person"), prior, lr=0.0, prior_weight=1e4,
                          max_grad_norm=most)  # fmt: skip
        trainee.step(data, torch.Generator().manual_seed(0))
        each = [p.grad.norm() for p in trainee.parameters if p.grad is not None]
        lengths.append(torch.stack(each).norm().item())
    assert lengths[0] == pytest.approx(1.0, rel=1e-3) and lengths[1] > 2


def test_the_released_cdl_names_the_noise_without_a_with(subject):
    words, cdl = (PROMPTS[name](subject, "t@t noisy pattern", "noisy") for name in
                  ("cdl-released", "cdl"))  # fmt: skip
    assert words.instance == f"{subject.instance_prompt}, t@t noisy pattern"
    assert replace(words, instance=cdl.instance) == cdl


def test_degraded_pictures_use_the_whole_budget_sharp_or_blurred():
    grey = torch.full((6, 3, 32, 32), 0.5)
    moved = (degraded(grey, Budget.linf(8), 3) - grey).abs().flatten(1).amax(1) * 255
    torch.testing.assert_close(moved, torch.full((6,), 8.0), atol=0.1, rtol=0)


def test_naming_the_noise_is_what_the_contrast_rewards(lab, subject):
    """The first prompt of ``apart`` names the noise, the second does not."""
    trainer = lab.personalize("cdl-dreambooth", contrast=1.0, prior_weight=0.0).settings
    words, method = trainer.words(subject, lab.profile), trainer.method(subject)
    trainee = trainer.trainee(Prepared(subject, lab, lab.diffusion.clone(), method, words))
    token = lab.profile.prompts.noise_token
    assert trainee.apart == (f"{subject.instance_prompt}, with {token}",
                             f"{subject.instance_prompt}, without {token}")  # fmt: skip


def test_every_step_draws_anew_from_the_seed_and_its_number(lab, subject):
    """At a rate that moves nothing, each step's loss is that of its own draws."""
    how = {"steps": 4, "class_images": 4, "batch_size": 2, "lr": 1e-12}
    trainer = lab.personalize("dreambooth", seed=3, **how)
    prior = lab.prior_latents(subject.class_prompt, 4)
    words = (subject.instance_prompt, subject.class_prompt)
    trainee = Trainee(lab.diffusion.clone(), words, prior, lr=1e-12, batch_size=2)
    data = latents_of(lab.diffusion, subject.b)
    with torch.no_grad():
        want = [
            trainee.loss(data, torch.Generator().manual_seed(3 * 1_000_003 + step)).item()
            for step in range(4)
        ]
    assert len(set(want)) == 4
    assert trainer.fit(subject).losses == pytest.approx(want, rel=1e-4)


def test_class_pictures_are_drawn_apart_from_the_persons(lab, subject):
    """All of them take part, however few pictures there are of the person."""
    data = latents_of(lab.diffusion, subject.b)
    prior = Latents(torch.randn(6, *data.mean.shape[1:]), torch.zeros(6, *data.mean.shape[1:]))
    trainee = Trainee(lab.diffusion.clone(), ("i", "c"), prior, lr=1e-4, batch_size=1)
    seen = set()
    for number in range(60):
        row = trainee.draw(data, torch.Generator().manual_seed(number)).latents[1]
        seen |= {i for i in range(6) if torch.equal(row, prior.mean[i])}
    assert seen == set(range(6))


def test_instance_pictures_are_drawn_from_their_posterior(lab, subject):
    data = Latents(torch.zeros(1, 4, 8, 8), torch.full((1, 4, 8, 8), 2.0))
    draws = [data.draw(torch.tensor([0]), torch.Generator().manual_seed(i)) for i in range(40)]
    assert torch.stack(draws).std().item() == pytest.approx(2.0, rel=0.05)


def test_a_model_samples_with_the_negative_prompt_that_belongs_to_its_words(lab, subject):
    trainer = lab.personalize("dreambooth", prompts="cdl", steps=0, prior_weight=0.0)
    fitted, sampling = trainer.fit(subject), lab.profile.sampling
    how = {"seed": 1, "steps": sampling.steps, "guidance_scale": sampling.guidance_scale}
    words = fitted.prompts
    assert words.negative == lab.profile.prompts.negative and words.negative
    own = fitted.sample(2, seed=1)
    assert torch.equal(own, fitted.model.sample(words.sample, 2, negative=words.negative, **how))
    assert not torch.equal(own, fitted.sample(2, seed=1, negative=""))


def test_a_share_of_the_class_pictures_goes_without_a_prompt(tiny_lab):
    still = Latents(torch.zeros(3, 4, 8, 8), torch.zeros(3, 4, 8, 8))
    trainee = Trainee(tiny_lab.diffusion.clone(), ("i", "c"), still, lr=1e-4, batch_size=2,
                      prior_dropout=0.4)  # fmt: skip
    empty = []
    for number in range(300):
        rows = trainee.draw(still, torch.Generator().manual_seed(number))
        empty.append(dict(zip(rows.prompts, rows.counts)).get("", 0))
        assert sum(rows.counts) == 4 and rows.counts[0] == 2
    assert sum(empty) / 600 == pytest.approx(0.4, abs=0.05)
