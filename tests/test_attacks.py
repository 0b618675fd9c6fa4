"""Promises of every attack: one table, one test per promise."""

import dataclasses
from functools import cache

import pytest
import torch

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.budget import linf_pixels
from shortcut_nb.errors import Diverged
from shortcut_nb.images import load_folder
from shortcut_nb.personalize.trainee import Trainee
from shortcut_nb.settings import parse_alpha
from shortcut_nb.tuning.modes import frozen
from tests.lanes import marked

SURROGATE = {"alpha": "4/255", "class_images": 4, "batch_size": 2, "surrogate_lr": 1e-4}
ALTERNATE = {"rounds": 2, "pgd_steps": 2, "clean_steps": 1, "perturbed_steps": 1} | SURROGATE
TRAINED = {"steps": 2, "surrogate_steps": 2} | SURROGATE
STEPS = {"steps": 3, "alpha": "4/255"}
# Small settings of each attack: one row here and every test below covers it.
SMALL = {
    "noise": {}, "noise-uniform": {},
    "advdm": STEPS, "mist": STEPS, "sds": STEPS, "pid": STEPS, "clip-shift": STEPS,
    "decoded-shift": STEPS | {"match": "noise-uniform"},
    "photoguard": STEPS | {"decay": False},
    "photoguard-diffusion": STEPS | {"sampling_steps": 2},
    "glaze": {"steps": 3, "lr": 0.02},
    "aspl": ALTERNATE, "t-aspl": ALTERNATE, "e-aspl": ALTERNATE | {"models": 1},
    "adaptive-aspl": ALTERNATE | {"purifier": "restorer"},
    "simac": ALTERNATE | {"keep": 940},
    "fsmg": TRAINED, "t-fsmg": TRAINED, "e-fsmg": TRAINED | {"models": 1, "inner_steps": 2},
    "metacloak": {"pool_steps": 2, "interval": 2, "advance": 1, "trials": 1, "pgd_steps": 2,
                  "blur": 0.5} | SURROGATE,
}  # fmt: skip

AT_ONCE = {"noise", "noise-uniform"}  # of one round: nothing to interrupt


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(params=marked(sorted(ATTACKS)))
def name(request):
    return request.param


def make(lab, name, **more):
    return lab.attack(name, **{"eps": "8/255", **SMALL[name], **more})


@pytest.fixture(scope="module")
def subject(pair):
    return pair


@pytest.fixture(scope="module")
def once(lab, subject):
    """The result of each attack at its small settings, made once for all tests that only look."""
    return cache(lambda name: make(lab, name)(subject))


@dataclasses.dataclass(frozen=True)
class Again:
    """What an attack does when it is run a second time, so that all that a lab keeps is there."""

    images: torch.Tensor
    calls: int  # of a UNet
    given: torch.Tensor  # the subject's pictures as they were
    weights: list  # of the models, as they were


@pytest.fixture(scope="module")
def again(lab, subject, once):
    """Each attack run for the second time, once for all tests that look at that."""

    weights = [p.clone() for module in lab.diffusion.modules for p in module.parameters()]
    given = subject.b.clone()

    def run(name):
        once(name)
        calls = []
        unet = type(lab.diffusion.pipe.unet)
        real = unet.forward
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unet, "forward", lambda *a, **k: calls.append(1) or real(*a, **k))
            images = make(lab, name)(subject).images
        return Again(images, len(calls), given, weights)

    return cache(run)


def test_every_attack_is_in_the_table():
    assert set(SMALL) == set(ATTACKS)


def test_budget_holds_in_grey_levels_after_a_png_round_trip(once, subject, name, tmp_path):
    result = once(name)
    result.save(tmp_path)
    back, _ = load_folder(tmp_path, subject.b.shape[-1])
    assert torch.equal(back, result.images)
    assert result.linf_pixels == linf_pixels(back, subject.b)
    assert 0 < max(result.linf_pixels) <= 8
    assert back.min() >= 0 and back.max() <= 1


def test_same_seed_same_bits(once, again, name):
    assert torch.equal(once(name).images, again(name).images)


# Without clip-shift: random only in its start, whose trace three large steps can wash out.
@pytest.mark.parametrize("name", marked(sorted(set(ATTACKS) - {"clip-shift"})))
def test_other_seed_other_bits(lab, subject, once, name):
    assert not torch.equal(once(name).images, make(lab, name, seed=1)(subject).images)


def test_inputs_and_models_are_left_alone(lab, subject, again, name):
    images, modules = again(name), lab.diffusion.modules
    assert torch.equal(images.given, subject.b) and not subject.b.requires_grad
    after = [p for module in modules for p in module.parameters()]
    assert all(torch.equal(p, q) for p, q in zip(images.weights, after, strict=True))
    assert not any(m.training for m in modules) and not any(p.requires_grad for p in after)


def test_zero_budget_changes_nothing(lab, subject):
    assert torch.equal(make(lab, "advdm", eps="0/255")(subject).images, subject.b)


@pytest.mark.parametrize("name", marked(sorted(set(ATTACKS) - AT_ONCE)))
def test_killed_attack_goes_on_to_the_same_pictures(lab, subject, once, name, tmp_path):
    attack, path = make(lab, name), tmp_path / "run.pt"

    class Killed(Exception):
        pass

    def kill(info):
        if info.step == attack.total // 2 + 1:
            raise Killed

    with pytest.raises(Killed):
        attack(subject, on_step=kill, checkpoint=path, every=1)
    assert path.exists()
    assert not any(m.training for m in lab.diffusion.modules)
    assert not any(p.requires_grad for m in lab.diffusion.modules for p in m.parameters())
    again = attack(subject, checkpoint=path)
    assert torch.equal(again.images, once(name).images)
    assert torch.equal(again.loss_trace, once(name).loss_trace)
    assert not path.exists()


def test_checkpoint_of_another_run_is_refused(lab, subject, tmp_path):
    def kill(info):
        raise InterruptedError

    path = tmp_path / "run.pt"
    with pytest.raises(InterruptedError):
        make(lab, "advdm")(subject, on_step=lambda i: kill(i) if i.step == 2 else None,
                           checkpoint=path, every=1)  # fmt: skip
    with pytest.raises(ValueError, match="another attack"):
        make(lab, "advdm", seed=5)(subject, checkpoint=path)


ALONE = ["noise", "noise-uniform", "advdm", "sds", "mist", "photoguard", "photoguard-diffusion",
         "pid", "glaze", "clip-shift"]  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_result_does_not_depend_on_the_neighbours(lab, subject, once, name):
    """Picture 1 stays the same whatever picture 0 is, and picture 0 alone or with others."""
    whole = once(name).images
    other = dataclasses.replace(subject, b=torch.cat([subject.c[:1], subject.b[1:2]]))
    # Convolutions of another batch size round differently: a gradient near zero may change sign.
    assert (make(lab, name)(other).images[1] == whole[1]).float().mean() > 0.99
    alone = make(lab, name)(dataclasses.replace(subject, b=subject.b[:1])).images
    assert (whole[:1] == alone).float().mean() > 0.99


# A CLIP of random weights has slopes so small that rounding turns their signs.
SLOPES = {"decoded-shift"}


@pytest.mark.parametrize("name", marked(sorted({*SMALL} - {"noise", "noise-uniform"} - SLOPES)))
def test_low_memory_gives_the_same_up_to_rounding(lab, subject, once, name):
    small = make(lab, name, low_memory=True)(subject).images
    # Two surrogate rounds amplify rounding a little more than plain PGD.
    assert (small == once(name).images).float().mean() > 0.97
    assert not lab.diffusion.pipe.unet.is_gradient_checkpointing


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_low_memory_gives_the_same_with_trained_weights(miniature, subject, name):
    usual, small = (make(miniature, name, low_memory=low)(subject).images for low in (False, True))
    assert (small == usual).float().mean() > 0.97


@pytest.mark.parametrize("bad", [{"eps": 0.03}, {"eps": "8/256"}, {"nonsense": 1}])
def test_bad_arguments_are_refused_before_any_work(lab, name, bad):
    with pytest.raises(ValueError):
        make(lab, name, **bad)


def test_presets_of_the_papers_can_be_built(lab, name):
    attack = lab.attack(name, preset="paper")
    for key, value in ATTACKS[name].paper.items():
        assert str(getattr(attack, key)) == str(value)


def test_an_unknown_preset_is_refused(lab):
    with pytest.raises(ValueError, match="preset"):
        lab.attack("aspl", preset="papre")


def test_the_papers_glaze_starts_near_the_picture(lab, subject):
    result = lab.attack("glaze", preset="paper", steps=1)(subject)
    assert max(result.linf_pixels) < 16  # p/2 of [0, 1] is 6.4 levels, and one Adam step


def test_inputs_name_what_an_attack_depends_on(lab):
    clip, plain = (lab.attack(name).inputs()["weights"] for name in ("clip-shift", "advdm"))
    assert clip.startswith("clip=") and plain.startswith("diffusion=")
    assert lab.attack("noise").inputs()["weights"] == ""
    knows = lab.attack("adaptive-aspl", purifier="restorer").inputs()
    assert "purifier:restorer=" in knows["weights"] and "Restorer" in knows["purifier"]


def test_an_empty_prompt_is_a_prompt(lab, subject):
    own, empty = (make(lab, "advdm", prompt=p)(subject).images for p in (None, ""))
    assert not torch.equal(own, empty)


def test_step_size_is_never_a_bare_float():
    assert parse_alpha("1.1/255") == pytest.approx(1.1 / 255)
    with pytest.raises(ValueError, match="k/255"):
        parse_alpha(0.005)


def test_unknown_attack_names_the_nearest(lab):
    with pytest.raises(ValueError, match="aspl"):
        lab.attack("asspl")


def test_advdm_raises_the_loss_it_climbs(lab, subject):
    trace = make(lab, "advdm", steps=12, eps="16/255")(subject).loss_trace
    down = make(lab, "advdm", steps=12, eps="16/255", direction=-1)(subject).loss_trace
    assert trace[6:].mean() > down[6:].mean()


@pytest.mark.parametrize("variant", ["corrected", "released"])
def test_released_aspl_trains_as_the_released_code_does(lab, subject, variant, monkeypatch):
    """The first pictures in every step, gradients as they are, weights that bfloat16 can hold."""
    picked, clipped, rounded = [], [], []
    pick, step, clip = Trainee._pick, Trainee.step, torch.nn.utils.clip_grad_norm_

    def watched_pick(self, *given):
        picked.append(pick(self, *given))
        return picked[-1]

    def watched_step(self, *given):
        loss = step(self, *given)
        rounded.append(all(torch.equal(p, p.bfloat16().float()) for p in self.parameters))
        return loss

    def watched_clip(*given):
        clipped.append(given)
        return clip(*given)

    monkeypatch.setattr(Trainee, "_pick", watched_pick)
    monkeypatch.setattr(Trainee, "step", watched_step)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watched_clip)
    make(lab, "aspl", variant=variant)(subject)
    steps, released = 2 * (1 + 1), variant == "released"
    assert rounded == [released] * steps
    assert len(clipped) == (0 if released else steps)
    assert len(picked) == 2 * steps  # the person's, and the class's
    assert all(rows.tolist() == [0, 1] for rows in picked) == released


def test_aspl_surrogate_matters(lab, subject):
    moving = make(lab, "aspl", surrogate_lr=1e-3)(subject).images
    still = make(lab, "aspl", surrogate_lr=0.0)(subject).images
    assert (moving != still).float().mean() > 0.05


# Calls of a UNet at the small settings: one a PGD step and one a training step, and no more.
# SimAC's count depends on the timesteps that it drops.
UNET_CALLS = {
    "noise": 0, "noise-uniform": 0, "photoguard": 0, "pid": 0, "clip-shift": 0,
    "decoded-shift": 0,
    "glaze": 2,  # redraws the pictures in another style once, in the profile's sampling steps
    "advdm": 3, "mist": 3, "sds": 3,
    "photoguard-diffusion": 3 * 2,
    "fsmg": 2 + 2, "t-fsmg": 2 + 2, "e-fsmg": 2 + 2 * 2,
    "aspl": 2 * (1 + 2 + 1), "t-aspl": 2 * (1 + 2 + 1), "e-aspl": 2 * (1 + 2 + 1),
    "adaptive-aspl": 2 * (1 + 2 + 1),
    "metacloak": 1 + 4 * (2 + 1),  # the last state is kept at the beginning of the second step
}  # fmt: skip


@pytest.mark.parametrize("name", marked(UNET_CALLS))
def test_no_more_network_calls_than_the_definition_asks_for(again, name):
    assert again(name).calls == UNET_CALLS[name]


@pytest.mark.parametrize("name", marked(["e-aspl", "e-fsmg", "metacloak"]))
def test_one_surrogate_at_a_time_holds_gradients(lab, subject, name, monkeypatch):
    real, seen = Trainee.step, []

    def step(self, *args):
        loss = real(self, *args)
        seen.append(self)
        holding = {id(one.model) for one in seen if any(p.grad is not None for p in one.parameters)}
        assert holding == {id(self.model)}
        return loss

    monkeypatch.setattr(Trainee, "step", step)
    more = {"models": 2} if name.startswith("e-") else {}
    make(lab, name, **more)(subject)
    assert len({id(one.model) for one in seen}) >= (2 if more else 1)


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


def test_glaze_stops_at_a_gradient_that_is_not_finite(lab, subject, monkeypatch):
    """Its loss may be finite and its gradient not; Adam would turn the picture into nothing."""
    flat = lambda self, run, x, source, rows: (x * 0).flatten(1).sum(1).sqrt()  # noqa: E731
    monkeypatch.setattr("shortcut_nb.attacks.glaze.Glaze._loss", flat)
    with pytest.raises(Diverged, match="gradient is not finite at step 0"):
        make(lab, "glaze")(subject)
