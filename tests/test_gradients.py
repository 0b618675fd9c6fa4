"""Objectives of pictures on the miniature in double precision: formulas, and gradients by
finite differences in a random direction, so that no part of a gradient may be missing."""

from dataclasses import replace

import pytest
import torch

import shortcut_nb.diffusion.backbone
import shortcut_nb.models.clip
from shortcut_nb import Lab
from shortcut_nb.attacks.objectives import (
    DenoisingLoss,
    LatentDistance,
    OnLatents,
    TargetedDenoisingLoss,
)
from shortcut_nb.attacks.photoguard import EditDistance
from shortcut_nb.attacks.pid import PosteriorShift
from shortcut_nb.attacks.run import Run
from shortcut_nb.attacks.simac import FeatureInterference
from shortcut_nb.attacks.target import target_latents
from shortcut_nb.diffusion import Diffusion, draw_normal, generators
from shortcut_nb.models.clip import Clip
from shortcut_nb.tuning.modes import frozen
from shortcut_nb.tuning.weighting import min_snr_weight

from .differences import slopes_of


@pytest.fixture(scope="module")
def lab():
    """The miniature with float64 weights, frozen, as inside an attack.

    But for the text encoder: states of prompts are constants here, and transformers 4 has none in
    float64.
    """
    exact = Lab("mini", device="cpu", autocast=torch.float32)
    vae, unet, _ = exact.diffusion.modules
    for module in (vae, unet, exact.clip.model):
        module.double()
    encode, prepare = Diffusion.posterior, Clip.prepare
    with pytest.MonkeyPatch.context() as patch, frozen(*exact.diffusion.modules):
        patch.setattr(Diffusion, "posterior", lambda self, x: encode(self, x.double()))
        patch.setattr(Clip, "prepare", lambda self, x: prepare(self, x.double()).double())
        for where in (shortcut_nb.diffusion.backbone, shortcut_nb.models.clip):
            patch.setattr(where, "check_images", lambda images, *_, **__: images)
        yield exact


@pytest.fixture(scope="module")
def model(lab):
    return lab.diffusion


@pytest.fixture(scope="module")
def apart(lab):
    """Two pictures inside (0, 1), the same a few grey levels away, and a direction."""
    draw = torch.Generator().manual_seed(8)
    clean = (0.1 + 0.8 * lab.subject("mini:held-out/0").b[:2]).double()
    moved = clean + 8 / 255 * (2 * torch.rand(clean.shape, generator=draw) - 1)
    towards = torch.randn(clean.shape, generator=draw).double()
    return clean, moved, towards / towards.norm()


def test_the_denoising_loss(model, apart):
    clean, _, towards = apart
    loss = DenoisingLoss(model, model.embed(["a photo of a person"]))
    measured, expected = slopes_of(lambda x: loss(x, generators([5, 6])), clean, 1e-4, towards)
    assert measured == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_pid_is_its_formula_and_has_its_gradient(model, apart, weight):
    clean, moved, towards = apart
    with torch.no_grad():
        mean, std = model.posterior(clean)
        away, wide = model.posterior(moved)
    shift = PosteriorShift(model, mean, std.log(), weight)
    moments = [((away[i] - mean[i]) ** 2, (wide[i] / std[i]).log() ** 2) for i in range(2)]
    want = torch.stack([first.mean() + weight * second.mean() for first, second in moments])
    torch.testing.assert_close(shift(moved, []).detach(), want)
    measured, expected = slopes_of(lambda x: shift(x, []), moved, 1e-4, towards)
    assert measured == pytest.approx(expected, rel=1e-4)


def test_simacs_features_add_to_the_loss_and_to_its_gradient(model, apart):
    clean, moved, towards = apart
    context = model.embed(["a photo of a person"])
    at = {"timesteps": [torch.tensor([300]), torch.tensor([700])]}
    alone = DenoisingLoss(model, context, **at)
    still = model.posterior(clean)[0]
    both = FeatureInterference(model, context, still=still, weight=3.0, **at)

    def features(x):
        return both(x, generators([1, 2])) - alone(x, generators([1, 2]))

    measured, expected = slopes_of(features, moved, 1e-3, towards)
    assert measured == pytest.approx(expected, rel=1e-2)  # distances are added up in float32
    # On latents, as a sum of terms asks for it, it is the same.
    z = model.encode(moved, sources := generators([1, 2]))
    torch.testing.assert_close(both.on(z, sources), both(moved, generators([1, 2])))
    # Against themselves, but for the posterior's draw, pictures have no distance.
    with torch.no_grad():
        assert (features(clean) < 0.5 * features(moved)).all()


def test_min_snr_weighs_all_terms_of_a_loss_alike(model, apart):
    """Else the weight would change what one term counts against the other."""
    clean, moved, _ = apart
    context, still = model.embed(["a photo of a person"]), model.posterior(clean)[0]
    at = {"timesteps": [torch.tensor([20]), torch.tensor([700])]}
    weights = min_snr_weight(model.noise_schedule, torch.tensor([20, 700]), 5.0)
    assert weights[0] < 0.5 and weights[1] > 0.9
    for kind, further in (
        (FeatureInterference, {"still": still}),
        (TargetedDenoisingLoss, {"target": still}),
    ):
        plain, weighed = (
            kind(model, context, **at, **further, snr_gamma=gamma)(moved, generators([1, 2]))
            for gamma in (None, 5.0)
        )
        torch.testing.assert_close(weighed, plain * weights.to(plain))


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_glaze_is_its_formula_and_has_its_gradient(lab, model, apart, weight):
    clean, moved, towards = apart
    subject = replace(lab.subject("mini:held-out/0"), b=clean.float())
    attack = lab.attack("glaze", perceptual=0.0, weight=weight)
    run = Run.start(subject, lab, [1, 2])
    with torch.no_grad():
        mean, std = model.posterior(clean.flip(-1))
    run.state |= {"style_mean": mean, "style_std": std, "adam": None}
    attack.rebuild(run)

    def loss(x):
        return attack._loss(run, x, generators([3, 4]), slice(0, 2))

    source, scale = generators([3, 4]), model.pipe.vae.config.scaling_factor
    with torch.no_grad():
        z = model.encode(moved, source)
        goal = mean + std * draw_normal(mean.shape[1:], source)
        latent = ((z - goal) / scale).square().flatten(1).mean(1)
        want = latent + weight * lab.perceptual(moved, run.clean)
        torch.testing.assert_close(loss(moved), want)
    measured, expected = slopes_of(loss, moved, 1e-4, towards)
    assert measured == pytest.approx(expected, rel=5e-3)


def test_the_clip_shift(lab, apart):
    _, moved, towards = apart
    objective = lab.attack("clip-shift").objective(
        Run.start(lab.subject("mini:held-out/0"), lab, [1])
    )
    with torch.no_grad():
        person, noise = lab.clip.text(lab.profile.concepts[:2])
        want = lab.clip.image(moved) @ noise - lab.clip.image(moved) @ person
        torch.testing.assert_close(objective(moved, []), want)
    measured, expected = slopes_of(lambda x: objective(x, []), moved, 1e-4, towards)
    assert measured == pytest.approx(expected, rel=1e-4)


def test_the_edit_that_photoguards_diffusion_attack_descends(model, apart):
    _, moved, towards = apart
    goal = torch.full((1, 3, *moved.shape[2:]), 0.5).double()
    edit = EditDistance(model, model.embed([""]), goal, 0.5, 2, 7.5, 0.0)
    measured, expected = slopes_of(lambda x: edit(x, generators([3, 4])), moved, 1e-2, towards)
    assert measured == pytest.approx(expected, rel=1e-2)  # the UNet's output is made float32


def test_targeted_sds_needs_no_more_of_the_unet_than_its_error(lab, model, apart):
    """J_E(x)ᵀ (rate (ε_θ − ε) + 2 (z − z_target)), written out."""
    _, moved, _ = apart
    subject = lab.subject("mini:held-out/0")
    objective = lab.attack("sds", targeted=True, rate=3.0).objective(
        Run.start(subject, lab, [1, 2])
    )
    start = moved.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective(start, generators([1, 2])).sum(), start)

    source, again = generators([1, 2]), moved.clone().requires_grad_(True)
    z = model.encode(again, source)
    noise = draw_normal(z.shape[1:], source)
    t = torch.cat([torch.randint(0, 1000, (1,), generator=g) for g in source])
    context = model.embed([subject.class_prompt]).expand(2, -1, -1)
    with torch.no_grad():
        guess, truth, _ = model.predict(z, t, noise, context)
        target = target_latents(model, moved)
        error = 3.0 * (guess - truth) + 2 * (z - target)
    (want,) = torch.autograd.grad(z, again, error)
    assert objective.direction == -1  # descended, as the target's distance is
    torch.testing.assert_close(gradient, want, rtol=1e-5, atol=1e-6)


def test_mist_descends_the_target_and_climbs_the_loss(lab, model, apart):
    """The registered attack's own fused objective: ‖z − z_target‖² − rate · L_ldm."""
    _, moved, _ = apart
    subject = lab.subject("mini:held-out/0")
    objective = lab.attack("mist", rate=50.0).objective(Run.start(subject, lab, [1, 2]))
    loss = DenoisingLoss(model, model.embed([subject.class_prompt]))
    near = LatentDistance(target_latents(model, moved))
    with torch.no_grad():
        textural = OnLatents(model, [(1.0, near)])(moved, generators([1, 2]))
        semantic = loss(moved, generators([1, 2]))
        value = objective(moved, generators([1, 2]))
    assert objective.direction == -1
    torch.testing.assert_close(value, textural - 50.0 * semantic)
