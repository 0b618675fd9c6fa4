"""Learning-rate schedules, loss weights, fused steps and class pictures, on every side alike."""

import math

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from shortcut_nb.attacks.objectives import DenoisingLoss
from shortcut_nb.attacks.run import Run
from shortcut_nb.diffusion import generators
from shortcut_nb.images import save_folder
from shortcut_nb.latents import class_digest, latents_of
from shortcut_nb.mini.pretrain.loop import min_snr_loss
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.personalize.trainee import Trainee
from shortcut_nb.store.recipe import Recipe
from shortcut_nb.tuning.regime import schedule_at
from shortcut_nb.tuning.weighting import min_snr_weight
from tests.lanes import marked
from tests.small_runs import CONSTANT, trained_alike

SMALL = {"steps": 4, "class_images": 4, "batch_size": 2, "lr": 1e-4}
ASPL = {"eps": "8/255", "alpha": "4/255", "rounds": 3, "pgd_steps": 1, "clean_steps": 1,
        "perturbed_steps": 2, "class_images": 4, "batch_size": 2, "surrogate_lr": 1e-4}  # fmt: skip
NAMES = ["constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def subject(pair):
    return pair


def rates(name, warmup, planned, at=0):
    """The learning rate of each step from ``at`` on."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, found = schedule_at(optimiser, name, warmup, planned, at), []
    for _ in range(at, planned):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if schedule is not None:
            schedule.step()
    return found


def test_a_cosine_with_a_warm_up_is_its_formula():
    factors = rates("cosine", 2, 10)
    want = [0.0, 0.5] + [0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8)]
    assert factors == pytest.approx(want)
    assert rates("cosine", 0.2, 10) == pytest.approx(want)  # as a share of the steps
    assert rates("constant", 0, 3) == [1.0, 1.0, 1.0]
    assert rates("constant", 2, 4) == pytest.approx([0.0, 0.5, 1.0, 1.0])


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_can_begin_anywhere(name):
    whole = rates(name, 2, 9)
    for at in (1, 4, 8):
        assert rates(name, 2, 9, at) == pytest.approx(whole[at:])


def test_resume_equals_uninterrupted_with_a_schedule(lab, subject, tmp_path):
    how = SMALL | {"lr_scheduler": "cosine", "warmup": 1}
    trainer = lab.personalize("dreambooth", **how)
    whole = trainer.fit(subject)

    def kill(info):
        if info.step == 3:
            raise Killed

    path = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        trainer.fit(subject, on_step=kill, checkpoint=path, every=1)
    assert trained_alike(trainer.fit(subject, checkpoint=path), whole)
    # A look on the way is the same training: the schedule knows how long it will be.
    look = tmp_path / "look.ckpt"
    assert len(trainer.fit(subject, checkpoint=look, every=1, until=2).losses) == 2
    assert trained_alike(trainer.fit(subject, checkpoint=look), whole)
    with pytest.raises(ValueError, match="another run"):
        trainer.changed(steps=9).fit(subject, checkpoint=look)
    assert not trained_alike(lab.personalize("dreambooth", **SMALL, **CONSTANT).fit(subject), whole)


def test_a_surrogates_rate_moves_over_the_whole_attack(lab, subject, monkeypatch):
    seen, real = [], Trainee.step

    def step(self, *args):
        seen.append((self.behind + self.taken, self.optimiser.param_groups[0]["lr"]))
        return real(self, *args)

    monkeypatch.setattr(Trainee, "step", step)
    lab.attack("aspl", lr_scheduler="linear", warmup=0, **ASPL)(subject)
    # Each round: one lookahead step, then two of the surrogate; six of the latter in all.
    assert [at for at, _ in seen] == [0, 0, 1, 2, 2, 3, 4, 4, 5]
    assert [lr for _, lr in seen] == pytest.approx([1e-4 * (1 - at / 6) for at, _ in seen])


@pytest.mark.parametrize("name", marked(["aspl", "metacloak"]))
def test_a_killed_attack_with_a_schedule_goes_on_to_the_same_pictures(lab, subject, name, tmp_path):
    more = ASPL if name == "aspl" else {
        "eps": "8/255", "alpha": "4/255", "pool_steps": 2, "interval": 2, "advance": 1, "trials": 1,
        "pgd_steps": 1, "class_images": 4, "batch_size": 2, "surrogate_lr": 1e-4,
    }  # fmt: skip
    attack = lab.attack(name, lr_scheduler="cosine", warmup=1, snr_gamma=5.0, **more)
    whole = attack(subject)

    def kill(info):
        if info.step == 2:
            raise Killed

    path = tmp_path / "run.pt"
    with pytest.raises(Killed):
        attack(subject, on_step=kill, checkpoint=path, every=1)
    assert torch.equal(attack(subject, checkpoint=path).images, whole.images)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_one_formula_weighs_pretraining_fine_tuning_and_attacks(kind):
    schedule = DDPMScheduler(prediction_type=kind)
    t, guess = torch.tensor([10, 400, 900]), torch.randn(3, 4, 8, 8)
    snr = compute_snr(schedule, t)
    want = snr.clamp(max=5.0) / (snr + (kind == "v_prediction"))
    torch.testing.assert_close(min_snr_weight(schedule, t, 5.0), want)
    loss = min_snr_loss(schedule, guess, torch.zeros_like(guess), t)
    torch.testing.assert_close(loss, (want * guess.square().flatten(1).mean(1)).mean())


def test_noises_weights_are_the_papers_to_the_last_bit():
    schedule, t = DDPMScheduler(), torch.arange(1000)
    snr = compute_snr(schedule, t)
    assert torch.equal(min_snr_weight(schedule, t, 5.0), snr.clamp(max=5.0) / snr)


def test_where_nothing_is_left_of_the_picture_noise_has_its_full_weight():
    schedule = DDPMScheduler(rescale_betas_zero_snr=True)
    assert min_snr_weight(schedule, torch.tensor([999]), 5.0).tolist() == [1.0]


def test_weights_multiply_each_rows_loss(lab, subject, monkeypatch):
    model = lab.diffusion.clone()
    data, seen = latents_of(model, subject.b), []

    def known(self, z, t, noise, context):
        seen.append(t)
        return torch.ones(len(z), requires_grad=True)

    monkeypatch.setattr(type(model), "denoising_loss", known)
    words = ("a photo of sks person", "a photo of a person")
    trainee = Trainee(model, words, None, lr=1e-4, batch_size=2, snr_gamma=5.0)
    value = trainee.loss(data, torch.Generator().manual_seed(0))
    want = min_snr_weight(model.noise_schedule, seen[0], 5.0).mean()
    torch.testing.assert_close(value, want)
    loss = DenoisingLoss(model, model.embed(words[:1]), snr_gamma=5.0)
    each = loss.on(data.mean[:2], generators([1, 2]))
    torch.testing.assert_close(each, min_snr_weight(model.noise_schedule, seen[1], 5.0))


@pytest.mark.parametrize("name", ["advdm", "mist", "sds"])
def test_attacks_on_the_pretrained_model_can_weigh_their_loss(lab, subject, name):
    how = {"eps": "8/255", "steps": 2, "alpha": "4/255"} | ({"rate": 1e6} if name == "mist" else {})
    plain, weighed = (lab.attack(name, snr_gamma=g, **how)(subject) for g in (None, 0.1))
    assert not torch.allclose(plain.loss_trace, weighed.loss_trace, rtol=0.05)


def test_fused_steps_are_adams_up_to_rounding(lab, subject):
    how = SMALL | {"prior_weight": 0.0}
    plain = lab.personalize("dreambooth", **how).fit(subject)
    fused = lab.personalize("dreambooth", fused=True, **how).fit(subject)
    assert fused.losses == pytest.approx(plain.losses, rel=1e-3)
    ours, theirs = (fitted.method.state(fitted.model) for fitted in (fused, plain))
    moved = torch.cat([(ours[k] - theirs[k]).abs().flatten() for k in theirs])
    assert moved.mean() < 1e-6  # against four steps of 1e-4
    attack = lab.attack("aspl", fused=True, **ASPL)
    run = Run.start(subject, lab, [0])
    assert attack.trainee(run, "diffusion", lab.diffusion.clone()).optimiser.defaults["fused"]


def test_a_surrogates_words_have_a_rate_of_their_own(lab, subject):
    run = Run.start(subject, lab, [0])
    rates = {"surrogate_text_lr": 3e-5, "surrogate_lr": 1e-4} | CONSTANT
    attack = lab.attack("fsmg", class_images=4, **rates)
    trainee = attack.trainee(run, "diffusion", lab.diffusion.clone())
    assert [group["lr"] for group in trainee.optimiser.param_groups] == [1e-4, 3e-5]


def test_what_prior_preservation_draws_can_be_set(lab):
    words = "a photo of a person"
    usual = lab.prior_latents(words, 2)
    assert lab.prior_latents(words, 2) is usual
    for other in ({"guidance_scale": 1.0}, {"steps": 3}):
        assert not torch.equal(lab.prior_latents(words, 2, **other).mean, usual.mean)


def test_own_class_pictures_are_encoded_and_count_in_the_name(lab, subject, tmp_path):
    save_folder(subject.c, tmp_path / "people")
    folder = str(tmp_path / "people")
    own = lab.prior_latents("a photo of a person", folder)
    torch.testing.assert_close(
        own.mean, latents_of(lab.diffusion, subject.c).mean, atol=1e-3, rtol=0
    )
    before = class_digest(folder)
    trainer = lab.personalize("dreambooth", **(SMALL | {"steps": 1, "class_images": folder}))
    plain = lab.personalize("dreambooth", **(SMALL | {"steps": 1})).fit(subject)
    assert trainer.fit(subject).losses != plain.losses
    named = Recipe("train", params=trainer).key
    save_folder(subject.b[:1], tmp_path / "people")
    assert Recipe("train", params=trainer).key != named
    assert class_digest(folder) != before and class_digest(4) == ""


def test_fields_that_were_added_do_not_rename_earlier_work():
    """A recipe of settings is what it was as a bare dataclass, as long as new fields are unset."""
    trainer = TRAINERS["dreambooth"](lr=1e-4)
    known = trainer.plain()
    assert not {"lr_scheduler", "warmup", "snr_gamma", "fused", "prior_steps"} & set(known)
    assert known["class"] == "DreamBooth" and known["lr"] == 1e-4
    assert TRAINERS["dreambooth"](lr=1e-4, warmup=3).plain()["warmup"] == 3
