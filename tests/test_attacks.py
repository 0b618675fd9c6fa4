"""Promises of every attack, on the real miniature, and the PGD loop against closed forms."""

import dataclasses

import pytest
import torch

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.attacks.base import parse_alpha
from shortcut_nb.attacks.pgd import DenoisingLoss, pgd
from shortcut_nb.budget import Budget, linf_pixels
from shortcut_nb.diffusion import generators
from shortcut_nb.images import load_folder
from shortcut_nb.modes import frozen

# Small settings of each attack: one row here and every test below covers it.
SMALL = {
    "noise": {},
    "advdm": {"steps": 3, "alpha": "4/255"},
    "aspl": {"rounds": 2, "pgd_steps": 2, "clean_steps": 1, "perturbed_steps": 1,
             "alpha": "4/255", "class_images": 4, "batch_size": 2, "surrogate_lr": 1e-4},
}  # fmt: skip


@pytest.fixture(params=sorted(ATTACKS))
def name(request):
    return request.param


def make(lab, name, **more):
    return lab.attack(name, **{"eps": "8/255", **SMALL[name], **more})


def test_every_attack_is_in_the_table():
    assert set(SMALL) == set(ATTACKS)


def test_budget_holds_in_grey_levels_after_a_png_round_trip(lab, subject, name, tmp_path):
    result = make(lab, name)(subject)
    result.save(tmp_path)
    back, _ = load_folder(tmp_path, subject.b.shape[-1])
    assert torch.equal(back, result.images)
    assert result.linf_pixels == linf_pixels(back, subject.b)
    assert max(result.linf_pixels) == 8
    assert back.min() >= 0 and back.max() <= 1


def test_same_seed_same_bits_other_seed_other_bits(lab, subject, name):
    first, again = make(lab, name)(subject), make(lab, name)(subject)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, make(lab, name, seed=1)(subject).images)


def test_inputs_and_models_are_left_alone(lab, subject, name):
    modules = lab.diffusion.modules
    before = [p.clone() for m in modules for p in m.parameters()]
    kept = subject.b.clone()
    make(lab, name)(subject)
    assert torch.equal(kept, subject.b) and not subject.b.requires_grad
    after = [p for m in modules for p in m.parameters()]
    assert all(torch.equal(p, q) for p, q in zip(before, after, strict=True))
    assert not any(m.training for m in modules) and not any(p.requires_grad for p in after)


def test_zero_budget_changes_nothing(lab, subject, name):
    assert torch.equal(make(lab, name, eps="0/255")(subject).images, subject.b)


@pytest.mark.parametrize("name", ["noise", "advdm"])
def test_result_does_not_depend_on_the_batch(lab, subject, name):
    whole = make(lab, name)(subject).images
    alone = make(lab, name)(dataclasses.replace(subject, b=subject.b[:1])).images
    # Convolutions of another batch size round differently: a gradient near zero may change sign.
    assert (whole[:1] == alone).float().mean() > 0.99


@pytest.mark.parametrize("bad", [{"eps": 0.03}, {"eps": "8/256"}, {"nonsense": 1}])
def test_bad_arguments_are_refused_before_any_work(lab, name, bad):
    with pytest.raises(ValueError):
        make(lab, name, **bad)


def test_step_size_is_never_a_bare_float():
    assert parse_alpha("1.1/255") == pytest.approx(1.1 / 255)
    with pytest.raises(ValueError, match="k/255"):
        parse_alpha(0.005)


def test_unknown_attack_names_the_nearest(lab):
    with pytest.raises(ValueError, match="aspl"):
        lab.attack("asspl")


class Linear:
    direction = 1

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x, source):
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


def test_gradient_of_the_denoising_loss_by_finite_differences(lab, subject):
    model, x = lab.diffusion, subject.b[:1]
    with frozen(*model.modules):
        objective = DenoisingLoss(model, model.embed(["a photo of a person"]))
        start = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(objective(start, generators([5])).sum(), start)
        towards = gradient / gradient.norm()
        step = 2e-2

        def value(at):
            with torch.no_grad():
                return objective((x + at * towards).clamp(0, 1), generators([5])).item()

        slope = (value(step) - value(-step)) / (2 * step)
    assert slope == pytest.approx(gradient.norm().item(), rel=0.15)


def test_advdm_raises_the_loss_it_climbs(lab, subject):
    trace = make(lab, "advdm", steps=12, eps="16/255")(subject).loss_trace
    down = make(lab, "advdm", steps=12, eps="16/255", direction=-1)(subject).loss_trace
    assert trace[6:].mean() > down[6:].mean()


def test_released_aspl_differs_from_corrected(lab, subject):
    ours = make(lab, "aspl")(subject).images
    theirs = make(lab, "aspl", variant="released")(subject).images
    assert not torch.equal(ours, theirs)


def test_aspl_surrogate_matters(lab, subject):
    moving = make(lab, "aspl", surrogate_lr=1e-3)(subject).images
    still = make(lab, "aspl", surrogate_lr=0.0)(subject).images
    assert (moving != still).float().mean() > 0.05


def test_modes_come_back_after_an_exception(lab):
    unet = lab.diffusion.pipe.unet
    unet.train()
    unet.mid_block.eval()
    first = next(unet.parameters())
    first.requires_grad_(True)
    try:
        with pytest.raises(RuntimeError, match="injected"), frozen(unet):
            assert not unet.training and not first.requires_grad
            raise RuntimeError("injected")
        assert unet.training and not unet.mid_block.training and first.requires_grad
        assert unet.down_blocks[0].training
    finally:
        unet.eval().requires_grad_(False)
