"""Attackers who know the defence."""

import dataclasses

import pytest
import torch

from shortcut_nb.analysis.gradients import gradient_agreement
from shortcut_nb.attacks.adaptive import PurifiedObjective, reseeded, straight_through
from shortcut_nb.attacks.run import Run
from shortcut_nb.diffusion import generators
from shortcut_nb.latents import latents_of
from shortcut_nb.purify import Purifier, build
from tests.small_runs import CONSTANT

from .differences import slopes_of

SMALL = {"eps": "8/255", "alpha": "4/255", "rounds": 1, "pgd_steps": 2, "clean_steps": 1,
         "perturbed_steps": 1, "class_images": 4, "batch_size": 2,
         "surrogate_lr": 1e-4}  # fmt: skip


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def subject(pair):
    return pair


class Square:
    direction = 1

    def __call__(self, x, source, rows=slice(None)):
        return x.square().flatten(1).sum(1)


def test_bpda_is_the_true_gradient_for_an_identity_purifier(lab):
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    for full in (False, True):
        value = PurifiedObjective(Square(), lab.purifier("none"), full)(x, generators([1, 2]))
        (slope,) = torch.autograd.grad(value.sum(), x)
        torch.testing.assert_close(slope, 2 * x.detach())


def test_straight_through_is_the_purifier_forward_and_the_identity_backward():
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    jpeg = build("jpeg", quality=20)
    out = straight_through(jpeg, x)
    torch.testing.assert_close(out.detach(), jpeg(x.detach()))
    (slope,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(slope, torch.ones_like(x))


def test_full_gradient_by_finite_differences(lab, subject):
    x, restorer = subject.b[:1], lab.purifier("restorer")
    measured, expected = slopes_of(lambda x: restorer.differentiable(x).square(), x, 1e-2)
    assert measured == pytest.approx(expected, rel=0.03)
    torch.testing.assert_close(restorer.differentiable(x).clamp(0, 1), restorer(x))


def test_the_straight_through_gradient_is_right_where_there_is_nothing_to_pass(lab, subject):
    agreement = gradient_agreement(lab.diffusion, build("none"), subject.b[:1])
    assert agreement == pytest.approx({"straight through": 1.0, "no purifier": 1.0}, abs=1e-5)
    agreement = gradient_agreement(lab.diffusion, lab.purifier("restorer"), subject.b[:1])
    assert all(-1 <= value < 0.999 for value in agreement.values())
    with pytest.raises(ValueError, match="no gradient of its own"):
        gradient_agreement(lab.diffusion, build("jpeg"), subject.b[:1])


def test_each_call_sees_another_draw_of_a_random_purifier():
    one = build("diffpure")
    assert reseeded(one, 7).seed == 7 and reseeded(build("jpeg"), 7) == build("jpeg")
    chain = reseeded(build("jpeg+diffpure"), 9)
    assert chain.links[1].seed == 9 and chain.links[0] == build("jpeg")


def test_a_random_purifier_draws_for_each_picture_alone():
    """Picture 1 is purified the same whether it comes alone or second."""

    @dataclasses.dataclass(frozen=True)
    class Shift(Purifier):
        seed: int = 0

        def run(self, images, models, on_step):
            return (images + self.seed / 2**31).clamp(0, 1)

    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    both = PurifiedObjective(Square(), Shift())(x, generators([5, 6]))
    alone = PurifiedObjective(Square(), Shift())(x[1:], generators([6]))
    assert both[0] != both[1] and torch.equal(both[1:], alone)


def test_knowing_the_purifier_and_the_prompts_changes_the_attack(lab, subject):
    knowledge = [
        {}, {"purifier": "restorer"}, {"purifier": "restorer", "gradient": "full"},
        {"prompts": "cdl"}, {"purifier": "jpeg", "prompts": "cdl"}, {"surrogate_text_lr": 0.0},
    ]  # fmt: skip
    usual = SMALL | CONSTANT | {"surrogate_text_lr": None}
    attacks = [lab.attack("adaptive-aspl", **(usual | each)) for each in knowledge]
    images = [attack(subject).images for attack in attacks]
    assert torch.equal(images[0], lab.attack("aspl", **usual)(subject).images)
    for i, one in enumerate(images):
        for other in images[:i]:
            assert not torch.equal(one, other)


def test_no_gradient_is_refused_before_any_work(lab):
    with pytest.raises(ValueError, match="straight-through"):
        lab.attack("adaptive-aspl", purifier="jpeg", gradient="full")
    with pytest.raises(ValueError, match="prompts"):
        lab.attack("adaptive-aspl", prompts="other")
    with pytest.raises(ValueError, match="surrogate_text_lr"):
        lab.attack("adaptive-aspl", surrogate_text_lr=-1.0)


def test_a_surrogate_can_hold_its_words_as_the_defender_does(lab, subject):
    attack = lab.attack("adaptive-aspl", surrogate_text_lr=0.0, **SMALL, **CONSTANT)
    model = lab.diffusion.clone()
    before = [module.state_dict() for module in model.modules]
    before = [{k: v.clone() for k, v in state.items()} for state in before]
    run = Run.start(subject, lab, [0, 1, 2, 3])
    attack.trainee(run, "diffusion", model).run(
        latents_of(model, subject.b), 1, attack.generator(0)
    )
    moved = [any(not torch.equal(state[k], v) for k, v in module.state_dict().items())
             for state, module in zip(before, model.modules, strict=True)]  # fmt: skip
    assert moved == [False, True, False]  # of the VAE, the UNet and the text encoder


def test_prompts_that_are_too_long_are_said_before_any_work(lab, subject, caplog):
    long = dataclasses.replace(subject, instance_prompt="a photo of sks person " + "hat " * 40)
    with pytest.raises(ValueError, match="noisy pattern.*would be cut off"):
        lab.attack("adaptive-aspl", prompts="cdl", **SMALL)(long)
    with caplog.at_level("WARNING", logger="shortcut_nb"):
        lab.attack("advdm", eps="8/255", steps=1, prompt="hat " * 50)(subject)
    assert caplog.text.count("cut off") == 1
