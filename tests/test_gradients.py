"""Objectives of pictures on the miniature: their gradients by finite differences."""

from dataclasses import replace

import pytest
import torch

from shortcut_nb.attacks.objectives import DenoisingLoss, LatentDistance, OnLatents
from shortcut_nb.attacks.pid import PosteriorShift
from shortcut_nb.attacks.run import Run
from shortcut_nb.attacks.simac import FeatureInterference
from shortcut_nb.attacks.target import target_latents
from shortcut_nb.diffusion import draw_normal, generators
from shortcut_nb.modes import frozen

from .differences import slopes_of


@pytest.fixture(scope="module")
def model(lab):
    """The miniature with its weights frozen, as inside an attack."""
    with frozen(*lab.diffusion.modules):
        yield lab.diffusion


@pytest.fixture(scope="module")
def apart(subject):
    """Two pictures, and the same a few grey levels away."""
    draw = torch.Generator().manual_seed(8)
    clean = subject.b[:2]
    moved = (clean + 8 / 255 * (2 * torch.rand(clean.shape, generator=draw) - 1)).clamp(0, 1)
    return clean, moved


def test_the_denoising_loss(model, apart):
    loss = DenoisingLoss(model, model.embed(["a photo of a person"]))
    found, promised = slopes_of(lambda x: loss(x, generators([5, 6])), apart[0], 1e-2)
    assert found == pytest.approx(promised, rel=0.1)


def test_pid_is_its_formula_and_has_its_gradient(model, apart):
    clean, moved = apart
    with torch.no_grad():
        mean, std = model.posterior(clean)
        away, wide = model.posterior(moved)
        value = PosteriorShift(model, mean, std.log(), 0.3)(moved, [])
    moments = [((away[i] - mean[i]) ** 2, (wide[i] / std[i]).log() ** 2) for i in range(2)]
    want = torch.stack([first.mean() + 0.3 * second.mean() for first, second in moments])
    torch.testing.assert_close(value, want, rtol=1e-3, atol=1e-6)
    shift = PosteriorShift(model, mean, std.log(), 0.3)
    found, promised = slopes_of(lambda x: shift(x, []), moved, 1e-2)
    assert found == pytest.approx(promised, rel=0.05)


def test_simacs_features_add_to_the_loss_and_to_its_gradient(model, apart):
    clean, moved = apart
    context = model.embed(["a photo of a person"])
    at = {"timesteps": [torch.tensor([300]), torch.tensor([700])]}
    alone = DenoisingLoss(model, context, **at)
    still = model.posterior(clean)[0]
    both = FeatureInterference(model, context, still=still, weight=3.0, **at)

    def features(x):
        return both(x, generators([1, 2])) - alone(x, generators([1, 2]))

    found, promised = slopes_of(features, moved, 1e-2)
    assert promised > 0 and found == pytest.approx(promised, rel=0.05)
    # Against themselves, but for the posterior's draw, pictures have no distance.
    with torch.no_grad():
        assert (features(clean) < 0.5 * features(moved)).all()


def test_glaze_is_its_formula_and_has_its_gradient(lab, model, apart, subject):
    _, moved = apart
    attack = lab.attack("glaze", perceptual=0.0, weight=2.0)
    run = Run.start(replace(subject, b=subject.b[:2]), [1, 2])
    with torch.no_grad():
        mean, std = model.posterior(subject.b[2:4])
    run.kept |= {"style_mean": mean, "style_std": std, "adam": None}
    attack.arm(run)
    rows = slice(0, 2)

    def loss(x):
        run.source = generators([3, 4])
        return attack._loss(run, x, rows)

    source, scale = generators([3, 4]), model.pipe.vae.config.scaling_factor
    with torch.no_grad():
        goal_draws = (model.encode(moved, source), mean + std * draw_normal(mean.shape[1:], source))
        latent = ((goal_draws[0] - goal_draws[1]) / scale).square().flatten(1).mean(1)
        want = latent + 2.0 * lab.perceptual(moved, run.clean)
        torch.testing.assert_close(loss(moved), want)
    found, promised = slopes_of(loss, moved, 1e-2)
    assert found == pytest.approx(promised, rel=0.1)


def test_targeted_sds_needs_no_more_of_the_unet_than_its_error(lab, model, apart):
    """J_E(x)ᵀ (rate (ε_θ − ε) + 2 (z − z_target)), written out."""
    _, moved = apart
    attack = lab.attack("sds", targeted=True, rate=3.0)
    objective = attack.objective(Run.start(lab.subject("mini:held-out/0"), [1, 2, 3, 4]))
    start = moved.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective(start, generators([1, 2])).sum(), start)

    source, again = generators([1, 2]), moved.clone().requires_grad_(True)
    z = model.encode(again, source)
    noise = draw_normal(z.shape[1:], source)
    t = torch.cat([torch.randint(0, 1000, (1,), generator=g) for g in source])
    context = model.embed([lab.subject("mini:held-out/0").class_prompt]).expand(2, -1, -1)
    with torch.no_grad():
        guess, truth, _ = model.predict(z, t, noise, context)
        target = target_latents(model, moved.shape[-1])
        error = 3.0 * (guess - truth) + 2 * (z - target)
    (want,) = torch.autograd.grad(z, again, error)
    assert objective.direction == -1  # descended, as the target's distance is
    torch.testing.assert_close(gradient, want, rtol=1e-3, atol=1e-4)


def test_mist_descends_the_target_and_climbs_the_loss(lab, model, apart):
    """The registered attack's own fused objective: ‖z − z_target‖² − rate · L_ldm."""
    _, moved = apart
    subject = lab.subject("mini:held-out/0")
    objective = lab.attack("mist", rate=50.0).objective(Run.start(subject, [1, 2, 3, 4]))
    loss = DenoisingLoss(model, model.embed([subject.class_prompt]))
    near = LatentDistance(target_latents(model, moved.shape[-1]))
    with torch.no_grad():
        textural = OnLatents(model, [(1.0, near)])(moved, generators([1, 2]))
        semantic = loss(moved, generators([1, 2]))
        value = objective(moved, generators([1, 2]))
    assert objective.direction == -1
    torch.testing.assert_close(value, textural - 50.0 * semantic)
