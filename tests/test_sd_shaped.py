"""The same code opens Stable-Diffusion-shaped pipelines: epsilon and v-prediction, 64 and 768."""

import logging
from dataclasses import replace

import pytest
import torch

from shortcut_nb.attacks.objectives import DenoisingLoss, ScoreDistillation
from shortcut_nb.diffusion import generators
from shortcut_nb.lab import Lab
from shortcut_nb.profile import load_profile
from shortcut_nb.subjects import Subject
from tests.tiny_sd import save_pipeline


def lab_of(kind, side, place):
    """A lab whose profile is a shipped one, but for the model, its size, and the settings."""
    folder = save_pipeline(place / "pipe", kind, side)
    profile = load_profile(kind)
    small = {
        "dreambooth": {"steps": 3, "lr": 1e-3, "batch_size": 2, "class_images": 2},
        "aspl": {"eps": "8/255", "alpha": "2/255", "rounds": 2, "clean_steps": 1, "pgd_steps": 2,
                 "perturbed_steps": 1, "surrogate_lr": 1e-3, "class_images": 2},
    }  # fmt: skip
    profile = profile.model_copy(
        update={
            "resolution": side,
            "defaults": small,
            "diffusion": profile.diffusion.model_copy(
                update={"id": str(folder), "revision": None, "sha256": {}}
            ),
            "sampling": profile.sampling.model_copy(update={"steps": 2}),
        }
    )
    return Lab(profile, device="cpu", autocast=torch.float32)


@pytest.fixture(scope="module", params=["sd15", "sd21"])
def lab(request, tmp_path_factory):
    return lab_of(request.param, 64, tmp_path_factory.mktemp(request.param))


def noise(side, number=2):
    """A subject of random pictures."""
    sets = torch.rand(3, number, 3, side, side, generator=torch.Generator().manual_seed(0))
    return Subject("noise", *sets, "person", "sks", "a photo of sks person", "a photo of a person")


@pytest.fixture(scope="module")
def subject():
    return noise(64)


def test_prediction_target_follows_the_scheduler(lab):
    model = lab.diffusion
    latents, noise = torch.randn(2, 2, 4, 8, 8)
    t, context = torch.tensor([10, 700]), model.embed(["a", "b"])
    alpha = model.noise_schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    guess = model.pipe.unet(noisy, t, context).sample
    v = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    target = v if lab.profile.name == "sd21" else noise
    expected = (guess - target).square().flatten(1).mean(1)
    torch.testing.assert_close(model.denoising_loss(latents, t, noise, context), expected)


def test_targets_and_predicted_noise_follow_the_scheduler(lab):
    model = lab.diffusion
    z, noise = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    t, context = torch.tensor([10, 700]), model.embed(["a", "b"])
    alpha_bar = model.noise_schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
    torch.testing.assert_close(model.alpha_bar(t), alpha_bar)
    noisy = alpha_bar.sqrt() * z + (1 - alpha_bar).sqrt() * noise
    velocity = alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * z
    assert model.predicts_velocity == (lab.profile.name == "sd21")
    target = velocity if model.predicts_velocity else noise
    torch.testing.assert_close(model.target(z, t, noise), target)
    answer = model.pipe.unet(noisy, t, context).sample
    if model.predicts_velocity:
        answer = alpha_bar.sqrt() * answer + (1 - alpha_bar).sqrt() * noisy
    torch.testing.assert_close(model.predicted_noise(noisy, t, context), answer)


def test_an_answer_that_hits_its_target_is_read_as_the_noise(lab, monkeypatch):
    model = lab.diffusion
    z, noise = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    t, context = torch.tensor([10, 700]), model.embed(["a", "b"])
    alpha_bar = model.alpha_bar(t)
    noisy = alpha_bar.sqrt() * z + (1 - alpha_bar).sqrt() * noise
    monkeypatch.setattr(type(model), "denoise", lambda *_: model.target(z, t, noise))
    read = model.predicted_noise(noisy, t, context)
    torch.testing.assert_close(read, noise, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("gamma", [None, 0.5])
def test_score_distillation_weighs_the_error_of_the_noise(lab, gamma):
    """Also where the UNet answers with the velocity."""
    model = lab.diffusion
    loss = DenoisingLoss(model, model.embed(["a photo"]), snr_gamma=gamma)
    z = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    value = ScoreDistillation(loss).on(z, generators(range(4)))
    (gradient,) = torch.autograd.grad(value.sum(), z)
    noise, t = loss.draw(z, generators(range(4)), slice(None))
    kept = model.alpha_bar(t)
    with torch.no_grad():
        noisy = kept.sqrt() * z + (1 - kept).sqrt() * noise
        wrong = model.predicted_noise(noisy, t, loss.context.expand(4, -1, -1)) - noise
    snr = kept / (1 - kept)
    weight = 1 if gamma is None else (gamma / snr).clamp(max=1)
    torch.testing.assert_close(gradient, weight * wrong, atol=1e-4, rtol=1e-4)
    assert gamma is None or snr.max() > gamma > snr.min()


def test_an_unknown_kind_of_prediction_is_refused(lab):
    model = lab.diffusion.clone()
    schedule = type(model.noise_schedule).from_config(
        model.noise_schedule.config, prediction_type="sample"
    )
    other = replace(model, noise_schedule=schedule)
    with pytest.raises(ValueError, match="sample"):
        other.target(torch.zeros(1, 4, 8, 8), torch.tensor([1]), torch.zeros(1, 4, 8, 8))


def test_sampling_starts_from_the_starting_noise(lab):
    """As diffusers draws from latents that it is given."""
    model, how = lab.diffusion, {"steps": 2, "guidance_scale": 3.0}
    library = model.sample_latents("a photo of a person", 2, seed=5, **how)
    prompt, negative = model.embed(["a photo of a person", ""])[:, None].expand(2, 2, -1, -1)
    with torch.no_grad():
        latents = model.pipe(
            **model.prompt_arguments(prompt, negative),
            num_inference_steps=2,
            guidance_scale=3.0,
            height=64,
            width=64,
            latents=model.starting_noise(2, seed=5),
            output_type="latent",
        ).images
    torch.testing.assert_close(latents, library)
    assert torch.equal(model.starting_noise(1, seed=5), model.starting_noise(2, seed=5)[:1])


@pytest.mark.parametrize("prompts", ["plain", "cdl"])
def test_dreambooth_moves_both_networks_and_samples(lab, subject, prompts):
    before = [p.clone() for p in lab.diffusion.pipe.unet.parameters()]
    fitted = lab.personalize("dreambooth", prompts=prompts).fit(subject)
    assert len(fitted.losses) == 3
    for ours, base in (
        (fitted.model.pipe.unet, lab.diffusion.pipe.unet),
        (fitted.model.pipe.text_encoder, lab.diffusion.pipe.text_encoder),
    ):
        assert any(
            not torch.equal(p, q) for p, q in zip(ours.parameters(), base.parameters(), strict=True)
        )
    assert all(
        torch.equal(p, q) for p, q in zip(before, lab.diffusion.pipe.unet.parameters(), strict=True)
    )
    sheet = fitted.sample(2, seed=1)
    assert sheet.shape == (2, 3, 64, 64) and sheet.min() >= 0 and sheet.max() <= 1
    assert ("without" in fitted.prompts.sample) == (prompts == "cdl")
    assert (fitted.prompts.negative != "") == (prompts == "cdl")


def test_aspl_stays_in_its_ball(lab, subject):
    result = lab.attack("aspl")(subject)
    assert max(result.linf_pixels) == 8
    assert result.loss_trace.shape == (4, 2)
    result.budget.check(result.images, subject.b)


@pytest.mark.slow
def test_attack_train_and_sample_at_768_pixels(tmp_path, caplog):
    """Stable Diffusion 2.1's own size, with v-prediction: 96 x 96 latents, one picture at a time.

    Only the networks are narrow; what depends on the size is that of the real model.
    """
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        lab, subject = lab_of("sd21", 768, tmp_path), noise(768, 1)
        model = lab.diffusion
    assert model.noise_schedule.config.prediction_type == "v_prediction"
    assert "trained at" not in caplog.text and lab.profile.resolution == model.resolution == 768
    assert model.posterior(subject.b)[0].shape == (1, 4, 96, 96)
    result = lab.attack("aspl", rounds=1, pgd_steps=1, class_images=1)(subject)
    assert max(result.linf_pixels) == 2 and result.loss_trace.shape == (1, 1)
    result.budget.check(result.images, subject.b)
    fitted = lab.personalize("dreambooth", prompts="cdl", steps=1, class_images=1, batch_size=1)
    learned = fitted.fit(subject, result.images)
    assert torch.isfinite(torch.tensor(learned.losses)).all()
    drawn = learned.sample(1, seed=1)
    assert drawn.shape == (1, 3, 768, 768) and torch.isfinite(drawn).all() and drawn.std() > 0
