"""Equalities between attacks that fine-tune surrogates, and what each of their parts does."""

import pytest
import torch

from shortcut_nb.attacks.metacloak import Transformed
from shortcut_nb.attacks.objectives import DenoisingLoss, TargetedDenoisingLoss
from shortcut_nb.attacks.run import Run
from shortcut_nb.attacks.simac import Features
from shortcut_nb.attacks.target import target_latents
from shortcut_nb.diffusion import generators
from shortcut_nb.latents import latents_of
from shortcut_nb.machine.threads import torch_threads
from shortcut_nb.tuning.modes import frozen

from .small_runs import SURROGATE


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def subject(pair):
    return pair


def test_fsmg_is_aspl_without_alternation(lab, subject):
    still = lab.attack("aspl", rounds=3, pgd_steps=1, clean_steps=0, perturbed_steps=0, **SURROGATE)
    plain = lab.attack("fsmg", steps=3, surrogate_steps=0, **SURROGATE)
    assert torch.equal(still(subject).images, plain(subject).images)


@pytest.mark.slow
@pytest.mark.parametrize("name,short", [
    ("aspl", {"rounds": 2, "pgd_steps": 2, "clean_steps": 1, "perturbed_steps": 1}),
    ("fsmg", {"steps": 2, "surrogate_steps": 1, "inner_steps": 2}),
])  # fmt: skip
def test_ensemble_of_one_is_the_single_attack(lab, subject, name, short):
    one = lab.attack(f"e-{name}", models=1, **short, **SURROGATE)
    assert torch.equal(one(subject).images, lab.attack(name, **short, **SURROGATE)(subject).images)


def test_ensemble_needs_as_many_models_as_it_asks_for(lab, subject):
    many = lab.attack("e-aspl", models=9, rounds=1, **SURROGATE)
    with pytest.raises(ValueError, match="ensemble"):
        many(subject)


@pytest.mark.parametrize("more", [{}, {"fused": True, "lr_scheduler": "cosine", "warmup": 1}])
def test_aspl_is_its_alternation_with_copies(tiny_lab, more):
    """One surrogate that looks ahead and goes back, against a copy and a fresh AdamW each time.

    On one thread: on several, MKL's sums depend on where in memory their terms lie, and a copy's
    lie elsewhere; a sign of PGD that turns over is then two grey levels.
    """
    how = {"rounds": 3, "clean_steps": 2, "pgd_steps": 2, "perturbed_steps": 2} | SURROGATE | more
    attack = tiny_lab.attack("aspl", **how).settings
    subject = tiny_lab.subject("mini:held-out/0")
    with torch_threads(1):
        by_hand = _alternated(attack, subject, tiny_lab)
        assert torch.equal(attack(subject, tiny_lab).images, by_hand)


def _alternated(attack, subject, lab):
    """ASPL with copies."""
    run = Run.start(subject, lab, list(range(len(subject.b))))
    base, surrogate = lab.diffusion, lab.diffusion.clone()
    for number in range(3):
        draw, copy = attack.generator(number), surrogate.clone()
        ahead = attack.trainee(run, "diffusion", copy, 2 * number)
        ahead.run(latents_of(base, subject.a), 2, draw)
        with frozen(*copy.modules, *base.modules):
            run.x, _ = attack.climb(run, attack.objective(copy, run), 2)
        behind = attack.trainee(run, "diffusion", surrogate, 2 * number)
        behind.run(latents_of(base, run.x), 2, draw)
    return attack.budget.project_grid(run.x, run.clean)


def test_simac_draws_each_pictures_timesteps_from_those_chosen_for_it(lab, subject):
    chosen = [torch.tensor([5, 6, 7]), torch.tensor([800])]
    model, run = lab.diffusion, Run.start(subject, lab, [1, 2])
    run.state["timesteps"] = chosen
    for weight in (0.0, 1.0):
        attack = lab.attack("simac", feature_weight=weight, **SURROGATE).settings
        attack.rebuild(run)
        loss, z = attack.objective(model, run), model.posterior(subject.b)[0]
        drawn = torch.stack([loss.draw(z, run.generators, slice(0, 2))[1] for _ in range(30)])
        assert [set(each.tolist()) for each in drawn.T] == [{5, 6, 7}, {800}]
        alone = loss.draw(z[1:], run.generators[1:], slice(1, 2))[1]
        assert alone.tolist() == [800]  # one picture at a time, with low memory


def test_targeted_attacks_draw_towards_the_target_from_the_step_before(lab, subject):
    model, run = lab.diffusion, Run.start(subject, lab, [1, 2])
    for name in ("aspl", "fsmg"):
        plain, targeted, released = (
            lab.attack(kind, variant=variant, **SURROGATE).settings.objective(model, run)
            for kind, variant in (
                (name, "released"), (f"t-{name}", "corrected"), (f"t-{name}", "released"),
            )
        )  # fmt: skip
        assert type(plain) is DenoisingLoss and type(targeted) is TargetedDenoisingLoss
        assert torch.equal(targeted.target, target_latents(model, subject.b))
        assert released.from_zero and not targeted.from_zero


@pytest.mark.slow
def test_simac_keeps_timesteps_with_large_gradients(lab, subject):
    """What survives has, on average, a larger image gradient than what was dropped."""
    attack = lab.attack("simac", keep=500, **SURROGATE)
    model = lab.diffusion
    run = Run.start(subject, lab, [1, 2, 3, 4])
    with frozen(*model.modules):
        context = model.embed([subject.instance_prompt])
        left = attack._select(run, model, context, 0)
        assert 0 < len(left) <= 500
        gone = torch.tensor([t for t in range(1000) if t not in set(left.tolist())])

        def mean_size(ts):
            picks = ts[:: max(1, len(ts) // 24)]
            source = generators([11])
            sizes = attack._gradient_sizes(model, context, subject.b[:1], picks, source)
            return sizes.mean().item()

        assert mean_size(left) > mean_size(gone)


def test_simac_compares_timesteps_at_once_as_one_by_one(lab, subject):
    attack, model, t = (
        lab.attack("simac", **SURROGATE).settings,
        lab.diffusion,
        torch.arange(5) * 99,
    )
    one, other = generators([11]), generators([11])
    with frozen(*model.modules):
        context = model.embed([subject.instance_prompt])
        together = attack._gradient_sizes(model, context, subject.b[:1], t, one)
        for number, expected in enumerate(together):
            x = subject.b[:1].clone().requires_grad_(True)
            loss = DenoisingLoss(model, context, timesteps=[t[number][None]])(x, other)
            (slope,) = torch.autograd.grad(loss.sum(), x)
            assert slope.abs().sum().item() == pytest.approx(expected.item(), rel=1e-4)
    assert torch.equal(one[0].get_state(), other[0].get_state())


def test_simac_encodes_no_more_pictures_at_once_than_the_model_says(lab, pair, monkeypatch):
    attack, sizes = lab.attack("simac", **SURROGATE).settings, []
    kind = type(lab.diffusion)
    real = kind.posterior
    monkeypatch.setattr(kind, "pictures_at_once", 1)
    monkeypatch.setattr(kind, "posterior", lambda self, x: sizes.append(len(x)) or real(self, x))
    attack.rebuild(Run.start(pair, lab, [1, 2]))
    assert sizes == [1, 1, 1, 1]  # set A for the surrogate, set B for the features


def test_feature_hooks_are_gone_afterwards(lab):
    features = Features(lab.diffusion)
    with pytest.raises(RuntimeError, match="injected"):

        def call():
            raise RuntimeError("injected")

        features.of(call)
    assert not any(b.conv2._forward_hooks for b in features.blocks)


def test_metacloak_stages_and_transformations(lab, subject):
    attack = lab.attack("metacloak", pool_steps=1000, interval=200, advance=2, trials=4)
    assert attack.stages == [0, 199, 399, 599, 799, 999]  # as in the released code
    assert attack.total == 2400 and attack.rounds == 100
    model = lab.diffusion
    with frozen(*model.modules):
        inner = DenoisingLoss(model, model.embed(["a photo of a person"]))
        x = subject.b[:2].clone().requires_grad_(True)
        value = Transformed(inner, (0.1, 0.5))(x, generators([1, 2]))
        (slope,) = torch.autograd.grad(value.sum(), x)
        assert torch.isfinite(slope).all() and slope.abs().sum() > 0
        # A blur without width and no mirror is no transformation.
        nearly = Transformed(lambda x, s, r: x.flatten(1).mean(1), (1e-3, 1e-3), flip=0.0)
        torch.testing.assert_close(nearly(x, generators([1, 2])), x.flatten(1).mean(1))


def test_released_metacloak_shows_its_surrogates_another_range(miniature, subject):
    ours, theirs = (
        miniature.attack("metacloak", variant=variant)._latents(miniature, subject.b)
        for variant in ("corrected", "released")
    )
    torch.testing.assert_close(ours.mean, latents_of(miniature.diffusion, subject.b).mean)
    assert (theirs.mean - ours.mean).abs().mean() > ours.mean.abs().mean()


def test_released_surrogates_have_their_defects_but_fsmgs_has_none(lab):
    for name in ("aspl", "simac", "metacloak", "e-aspl"):
        assert set(lab.attack(name, variant="released").trainee_options) == {
            "max_grad_norm", "shuffle", "round_weights",
        }  # fmt: skip
    assert lab.attack("fsmg", variant="released").trainee_options == {}
    assert lab.attack("aspl").trainee_options == {}


@pytest.mark.slow
def test_the_feature_loss_of_simac_has_a_gradient_of_its_own(lab, subject):
    short = {"rounds": 1, "pgd_steps": 3, "clean_steps": 0, "perturbed_steps": 0, "keep": 900}
    images = [lab.attack("simac", feature_weight=w, **short, **SURROGATE)(subject).images
              for w in (0.0, 5.0)]  # fmt: skip
    assert (images[0] != images[1]).float().mean() > 0.02
    with pytest.raises(ValueError, match="targeted"):
        lab.attack("simac", targeted=True)
    with pytest.raises(ValueError, match="keep"):
        lab.attack("simac", keep=10)
