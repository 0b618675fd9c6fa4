"""The PGD loop and its objectives against closed forms, on the miniature and on a tiny model."""

import copy
from dataclasses import replace

import pytest
import torch

from shortcut_nb.attacks import picture_seeds, start_uniform
from shortcut_nb.attacks.objectives import (
    DenoisingLoss,
    LatentDistance,
    OnLatents,
    ScoreDistillation,
    TargetedDenoisingLoss,
)
from shortcut_nb.attacks.pgd import pgd
from shortcut_nb.attacks.photoguard import EditDistance
from shortcut_nb.attacks.target import target_image, target_latents
from shortcut_nb.budget import Budget, linf_pixels
from shortcut_nb.diffusion import draw_normal, generators, open_pipeline
from shortcut_nb.tuning.modes import frozen

from .tiny_sd import save_pipeline


class Linear:
    direction = 1

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x, source, rows=slice(None)):
        return (x * self.weight).flatten(1).sum(1)


@pytest.mark.parametrize("direction", [1, -1])
def test_pgd_finds_the_optimum_of_a_linear_objective(direction):
    draw = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 8, 8, generator=draw)
    weight = torch.randn(2, 3, 8, 8, generator=draw)
    objective, budget = Linear(weight), Budget.linf(8)
    objective.direction = direction
    x, trace = pgd(objective, clean, clean, budget, alpha=3 / 255, steps=4,
                   source=generators([0, 1]))  # fmt: skip
    best = (clean + direction * 8 / 255 * weight.sign()).clamp(0, 1)
    torch.testing.assert_close(x, best)
    assert (direction * trace.diff(dim=0) >= 0).all()


def test_pgd_stops_on_a_loss_that_is_not_finite():
    clean = torch.full((1, 3, 8, 8), 0.5)
    with pytest.raises(FloatingPointError, match="step 0"):
        pgd(Linear(torch.full_like(clean, float("nan"))), clean, clean, Budget.linf(8),
            alpha=1 / 255, steps=1, source=generators([0]))  # fmt: skip


class Vertical(Linear):
    """The root of nothing: a finite value whose slope is not."""

    def __call__(self, x, source, rows=slice(None)):
        return ((x - x) * self.weight).flatten(1).sum(1).sqrt()


def test_pgd_stops_on_a_slope_that_is_not_finite():
    clean = torch.full((1, 3, 8, 8), 0.5)
    with pytest.raises(FloatingPointError, match="gradient is not finite at step 0"):
        pgd(Vertical(torch.ones_like(clean)), clean, clean, Budget.linf(8),
            alpha=1 / 255, steps=1, source=generators([0]))  # fmt: skip


def test_momentum_and_repeats_against_a_loop_written_out():
    draw = torch.Generator().manual_seed(1)
    clean, budget = torch.rand(2, 3, 8, 8, generator=draw), Budget.linf(8)

    class Noisy:
        direction = 1

        def __call__(self, x, source, rows=slice(None)):
            weight = draw_normal(x.shape[1:], source)
            return (x.square() * weight).flatten(1).sum(1)

    x, _ = pgd(Noisy(), clean, clean, budget, alpha=2 / 255, steps=3, source=generators([3, 4]),
               momentum=0.9, repeats=2, chunk=1)  # fmt: skip
    source, want, velocity = generators([3, 4]), clean.clone(), torch.zeros_like(clean)
    for _ in range(3):
        weights = torch.stack([torch.stack([torch.randn(3, 8, 8, generator=g) for _ in range(2)])
                               .mean(0) for g in source])  # fmt: skip
        gradient = 2 * want * weights
        velocity = 0.9 * velocity + gradient / gradient.abs().flatten(1).sum(1).view(-1, 1, 1, 1)
        want = want + 2 / 255 * velocity.sign()
        want = torch.minimum(torch.maximum(want, clean - 8 / 255), clean + 8 / 255).clamp(0, 1)
    torch.testing.assert_close(x, want)


@pytest.fixture(scope="module", params=["sd15", "sd21"])
def tiny(request, tmp_path_factory):
    """An epsilon and a v-prediction model of random weights, VAE and UNet in double precision."""
    folder = save_pipeline(tmp_path_factory.mktemp("tiny") / request.param, request.param)
    model = open_pipeline(folder)
    vae, unet, _ = model.modules
    vae.double()
    unet.double()
    return model


def slope_of(term, z, seed, towards, step=1e-5):
    def value(at):
        with torch.no_grad():
            return term.on(z + at * towards, generators([seed])).item()

    return (value(step) - value(-step)) / (2 * step)


@pytest.mark.parametrize("kind", ["plain", "targeted", "distance", "root"])
def test_gradients_by_finite_differences_in_double_precision(tiny, kind):
    draw = torch.Generator().manual_seed(2)
    z = torch.randn(1, 4, 8, 8, generator=draw).double()
    goal = torch.randn(1, 4, 8, 8, generator=draw).double()
    context = tiny.embed(["a photo of a person"])
    term = {
        "plain": DenoisingLoss(tiny, context),
        "targeted": TargetedDenoisingLoss(tiny, context, target=goal),
        "distance": LatentDistance(goal),
        "root": LatentDistance(goal, root=True),
    }[kind]
    start = z.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(term.on(start, generators([7])).sum(), start)
    towards = torch.randn(1, 4, 8, 8, generator=draw).double()
    slope = slope_of(term, z, 7, towards)
    assert slope == pytest.approx((gradient * towards).sum().item(), rel=1e-4)


def test_score_distillation_leaves_the_unets_jacobian_out(tiny):
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3)).double()
    loss = DenoisingLoss(tiny, tiny.embed(["a photo of a person"]))
    start = z.clone().requires_grad_(True)
    value = ScoreDistillation(loss).on(start, generators([1, 2]))
    (gradient,) = torch.autograd.grad(value.sum(), start)
    # Independently: noise error of the model, read off its prediction by the scheduler's formulas.
    source, schedule = generators([1, 2]), tiny.noise_schedule
    noise = draw_normal(z.shape[1:], source)
    t = torch.cat([torch.randint(0, 1000, (1,), generator=g) for g in source])
    kept = schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * z + (1 - kept).sqrt() * noise
    with torch.no_grad():
        context = loss.context.double().expand(2, -1, -1)
        guess = tiny.pipe.unet(noisy, t, context).sample
    if schedule.config.prediction_type == "v_prediction":
        guess = kept.sqrt() * guess + (1 - kept).sqrt() * noisy
    torch.testing.assert_close(gradient, guess - noise, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(value, loss.on(z, generators([1, 2])))


def test_an_attack_by_hand_from_the_helpers_is_the_librarys(lab, subject):
    """AdvDM written out with the public draws, seeds and start: bit for bit the same pictures."""
    model, clean, budget = lab.diffusion, subject.b[:2], Budget.linf(8)
    pair = replace(subject, b=clean)
    source = generators(picture_seeds(7, len(clean)))
    context = model.embed([subject.class_prompt]).detach().expand(len(clean), -1, -1)
    x = start_uniform(clean, budget, source)
    assert max(linf_pixels(x, clean)) <= 8
    for _ in range(2):
        x = x.detach().requires_grad_(True)
        z = model.encode(x, source)
        noise, t = model.draw_noising(z, source)
        loss = model.denoising_loss(z, t, noise, context).sum()
        (gradient,) = torch.autograd.grad(loss, x)
        x = budget.project(x + 2 / 255 * gradient.sign(), clean)
    attack = lab.attack("advdm", eps="8/255", alpha="2/255", steps=2, seed=7)
    assert torch.equal(budget.project_grid(x, clean), attack(pair).images)


def test_fused_objective_is_the_sum_of_its_parts(lab, subject):
    model, x = lab.diffusion, subject.b[:2]
    loss = DenoisingLoss(model, model.embed(["a photo of a person"]))
    near = LatentDistance(target_latents(model, x))
    fused = OnLatents(model, [(1.0, near), (-50.0, loss)])(x, generators([1, 2]))
    # The target's term draws nothing, so both parts see the same posterior, noise and timestep.
    parts = OnLatents(model, [(1.0, near)])(x, generators([1, 2]))
    parts = parts - 50 * OnLatents(model, [(1.0, loss)])(x, generators([1, 2]))
    torch.testing.assert_close(fused, parts)


def test_targeted_loss_is_lowest_where_the_target_is(tiny):
    """With latents at the target and a perfect guess, the step's mean is nearly the target's."""
    draw = torch.Generator().manual_seed(4)
    z = torch.randn(1, 4, 8, 8, generator=draw).double()

    class Perfect(torch.nn.Module):
        device = torch.device("cpu")
        dtype = torch.float32

        def forward(self, noisy, t, encoder_hidden_states):
            schedule = tiny.noise_schedule
            kept = schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
            noise = (noisy - kept.sqrt() * z) / (1 - kept).sqrt()
            if schedule.config.prediction_type == "v_prediction":
                noise = kept.sqrt() * noise - (1 - kept).sqrt() * z
            return type("Out", (), {"sample": noise})()

    oracle = copy.copy(tiny.pipe)
    model = type(tiny)(oracle, tiny.noise_schedule)
    held, oracle.unet = oracle.unet, Perfect()
    try:
        context = tiny.embed([""])
        near = TargetedDenoisingLoss(model, context, target=z).on(z, generators([5]))
        far = TargetedDenoisingLoss(model, context, target=z + 3).on(z, generators([5]))
    finally:
        oracle.unet = held
    assert near.item() > far.item()


def test_edit_distance_follows_the_sampler(lab, subject):
    """Without added noise the edit is what the pipeline's own DDIM steps give."""
    model, x = lab.diffusion, subject.b[:1]
    goal = torch.full((1, 3, 64, 64), 0.5)
    with frozen(*model.modules), torch.no_grad():
        edit = EditDistance(model, model.embed([""]), goal, 0.5, 2, 7.5, 0.0)
        edited = edit(x, generators([9]))
        scheduler = copy.deepcopy(model.pipe.scheduler)
        scheduler.set_timesteps(4)
        z = model.posterior(x)[0]
        noise = draw_normal(z.shape[1:], generators([9]))
        z = scheduler.add_noise(z, noise, scheduler.timesteps[2:3])
        for t in scheduler.timesteps[2:]:
            guess = model.pipe.unet(z, t, model.embed([""])).sample
            z = scheduler.step(guess, t, z).prev_sample
        want = (2 * (model.draw(z) - goal)).square().sum().sqrt()
    assert edited.item() == pytest.approx(want.item(), rel=1e-4)


def test_target_picture_is_black_on_white_and_tiled():
    drawn = target_image(64, 64)
    assert drawn.shape == (1, 3, 64, 64) and set(drawn.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(drawn[..., :16, :16], drawn[..., 16:32, 48:])
    assert 0.3 < drawn.mean() < 0.7
