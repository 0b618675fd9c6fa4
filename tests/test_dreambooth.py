"""DreamBooth and CDL on the miniature: what is trained, seeds, resume, and words."""

import pytest
import torch

from shortcut_nb.diffusion import generators
from shortcut_nb.latents import Latents, latents_of
from shortcut_nb.personalize.prompts import PROMPTS
from shortcut_nb.personalize.trainee import Trainee
from tests.places import small_disk
from tests.small_runs import CONSTANT

SMALL = {"steps": 4, "class_images": 4, "batch_size": 2, "lr": 1e-3}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


class Killed(RuntimeError):
    pass


def weights(fitted):
    text = fitted.model.pipe.text_encoder.state_dict()
    return fitted.model.pipe.unet.state_dict() | {f"text.{k}": v for k, v in text.items()}


def test_resume_equals_uninterrupted(lab, subject, tmp_path):
    trainer = lab.personalize("dreambooth", **SMALL)
    whole = trainer.fit(subject)

    def kill(info):
        if info.step == 3:
            raise Killed

    path = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        trainer.fit(subject, on_step=kill, checkpoint=path, every=2)
    steps = []
    resumed = trainer.fit(subject, on_step=lambda s: steps.append(s.step), checkpoint=path, every=2)
    assert steps == [3, 4] and resumed.losses == whole.losses
    ours, theirs = weights(resumed), weights(whole)
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_a_full_disk_under_the_checkpoint_ends_no_training(lab, subject, tmp_path, caplog):
    trainer = lab.personalize("dreambooth", **SMALL)
    with small_disk(tmp_path / "small", 64) as folder:
        fitted = trainer.fit(subject, checkpoint=folder / "run.ckpt", every=1)
        assert list(folder.iterdir()) == []
    assert fitted.losses == trainer.fit(subject).losses
    warned = [record.message for record in caplog.records if "no room" in record.message]
    assert len(warned) == 1 and "run.ckpt" in warned[0]


def test_checkpoint_of_another_run_is_refused(lab, subject, tmp_path):
    path = tmp_path / "run.ckpt"
    how = SMALL | CONSTANT
    lab.personalize("dreambooth", **how).fit(subject, checkpoint=path, every=2)
    with pytest.raises(ValueError, match="another"):
        lab.personalize("dreambooth", **how).fit(subject, subject.a, checkpoint=path)
    with pytest.raises(ValueError, match="more than the 2"):
        lab.personalize("dreambooth", **(how | {"steps": 2})).fit(subject, checkpoint=path)


def test_seed_decides(lab, subject):
    one = lab.personalize("dreambooth", **SMALL).fit(subject)
    other = lab.personalize("dreambooth", **SMALL, seed=1).fit(subject)
    assert one.losses != other.losses
    assert torch.equal(one.sample(2, seed=3), one.sample(2, seed=3))
    assert not torch.equal(one.sample(1, seed=3), one.sample(1, seed=4))


def test_a_sample_does_not_depend_on_its_batch(lab):
    how = {"seed": 0, "steps": 3, "guidance_scale": 4.0}
    together = lab.diffusion.sample("a photo of a person", 3, **how)
    apart = lab.diffusion.sample("a photo of a person", 3, batch=1, **how)
    torch.testing.assert_close(together, apart, atol=2e-3, rtol=0)


def test_loss_is_instance_plus_weighted_prior(lab, subject, monkeypatch):
    model = lab.diffusion.clone()
    data = latents_of(model, subject.b)
    prior = Latents(torch.randn_like(data.mean), torch.zeros_like(data.std))
    words = ("a photo of sks person", "a photo of a person")
    seen = []

    def by_row(self, latents, t, noise, context):
        seen.append((latents, context))
        return torch.tensor([1.0, 1.0, 10.0, 10.0])

    monkeypatch.setattr(type(model), "denoising_loss", by_row)
    trainee = Trainee(model, words, prior, lr=1e-4, batch_size=2, prior_weight=0.5)
    assert trainee.loss(data, torch.Generator().manual_seed(0)).item() == 1 + 0.5 * 10
    latents, context = seen[0]
    expected = model.embed(words).repeat_interleave(2, 0)
    torch.testing.assert_close(context, expected)
    # The last two rows are class latents: the prior has no spread, so they are found exactly.
    assert all(any(torch.equal(row, p) for p in prior.mean) for row in latents[2:])
    assert not any(torch.equal(row, p) for row in latents[:2] for p in prior.mean)


@pytest.mark.parametrize("weight", [0.5, 0.0])
def test_a_loss_by_hand_from_what_the_trainee_draws(lab, subject, weight):
    model = lab.diffusion.clone()
    own, prior = latents_of(model, subject.b), latents_of(model, subject.a)
    words = (subject.instance_prompt, subject.class_prompt)
    trainee = Trainee(model, words, prior, lr=1e-4, batch_size=2, prior_weight=weight)
    rows = trainee.draw(own, torch.Generator().manual_seed(3))
    assert len(rows.latents) == (4 if weight else 2)
    assert rows.latents.device == rows.noise.device == rows.t.device == model.device
    context = model.embed(rows.prompts).repeat_interleave(2, 0)
    each = model.denoising_loss(rows.latents, rows.t, rows.noise, context)
    by_hand = each[:2].mean() + (weight * each[2:].mean() if weight else 0)
    torch.testing.assert_close(trainee.loss(own, torch.Generator().manual_seed(3)), by_hand)


def test_released_surrogate_reuses_the_first_pictures_and_rounds_its_weights(lab, subject):
    data = latents_of(lab.diffusion, subject.b)
    words = (subject.instance_prompt, subject.class_prompt)
    trainee = Trainee(
        lab.diffusion.clone(), words, None, lr=1e-3, shuffle=False, round_weights=torch.bfloat16
    )
    draw = torch.Generator().manual_seed(0)
    picked = []
    for _ in range(3):
        picked += trainee._pick(len(data), draw).tolist()
        trainee.step(data, draw)
    assert picked == [0, 1, 2]
    assert all(torch.equal(p, p.bfloat16().float()) for p in trainee.parameters)


def test_text_encoder_can_be_frozen(lab, subject):
    fitted = lab.personalize("dreambooth", **SMALL, text_lr=0.0).fit(subject)
    base = lab.diffusion.pipe
    ours, theirs = fitted.model.pipe.text_encoder.parameters(), base.text_encoder.parameters()
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
    assert not torch.equal(fitted.model.pipe.unet.conv_in.weight, base.unet.conv_in.weight)


def test_prompts_are_read_once_while_the_text_encoder_is_frozen(lab, monkeypatch):
    calls, real = [], type(lab.diffusion).embed

    def embed(self, prompts):
        calls.append(tuple(prompts))
        return real(self, prompts)

    monkeypatch.setattr(type(lab.diffusion), "embed", embed)
    words, losses = ("a photo of sks person", "a photo of a person"), {}
    for text_lr in (0.0, 1e-9):
        model = lab.diffusion.clone()
        trainee = Trainee(model, words, None, lr=1e-4, text_lr=text_lr)
        data, draw = latents_of(model, lab.subject("mini:held-out/0").b), generators([1])[0]
        calls.clear()
        losses[text_lr] = [trainee.step(data, draw) for _ in range(2)]
        assert len(calls) == (1 if text_lr == 0 else 2)
    assert losses[0.0] == pytest.approx(losses[1e-9], rel=1e-5)


def test_nan_loss_stops_with_advice(lab, subject):
    # At this rate the first update destroys the weights, so a later loss is not finite.
    with pytest.raises(FloatingPointError, match="learning rate"):
        lab.personalize("dreambooth", **(SMALL | {"lr": 10.0, "steps": 20})).fit(subject)


def test_cdl_ties_the_words_of_sampling_to_training(subject):
    words = PROMPTS["cdl"](subject, "t@t noisy pattern", "noisy")
    assert words.instance == "a photo of sks person, with t@t noisy pattern"
    assert words.class_ == "a photo of a person, without t@t noisy pattern"
    assert words.sample == "a photo of sks person, without t@t noisy pattern"
    assert words.negative == "noisy"
    plain = PROMPTS["plain"](subject)
    assert plain.sample == plain.instance == "a photo of sks person" and plain.negative == ""


def test_bad_arguments(lab, subject):
    with pytest.raises(ValueError, match="prompts"):
        lab.personalize("dreambooth", prompts="contrastive")
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        lab.personalize("dreambooth", **SMALL).fit(subject, subject.b * 2 - 1)
