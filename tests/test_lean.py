"""What saves memory changes no result, and saves it: shared weights, copies and optimiser states on
the host."""

import copy

import pytest
import torch
from torch.nn import Linear

from shortcut_nb.lab import Lab
from shortcut_nb.personalize.methods import named
from shortcut_nb.personalize.trainee import Trainee
from shortcut_nb.tuning.lean import HostAdamW, on_host, rounded_by_autocast, weights_in
from tests.lanes import marked

SMALL = {"steps": 2, "class_images": 4, "batch_size": 2, "lr": 1e-3}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def subject(pair):
    return pair


def own_bytes(model, base):
    """Bytes of a model's weights that are not the base model's."""
    theirs = {p.data_ptr() for p in named(base).values()}
    return sum(p.nbytes for p in named(model).values() if p.data_ptr() not in theirs)


def test_host_states_are_adamw_bit_for_bit():
    torch.manual_seed(0)
    net = torch.nn.Sequential(Linear(8, 8), Linear(8, 2))
    other = copy.deepcopy(net)
    options = {"lr": 1e-2, "weight_decay": 0.1}
    plain = torch.optim.AdamW(net.parameters(), **options)
    hosted = HostAdamW(other.parameters(), **options)
    rates = [torch.optim.lr_scheduler.LinearLR(one, 0.5) for one in (plain, hosted)]
    for _ in range(4):
        x = torch.randn(5, 8)
        for one, network, rate in ((plain, net, rates[0]), (hosted, other, rates[1])):
            one.zero_grad()
            network(x).square().sum().backward()
            one.step()
            rate.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters()))
    assert hosted.param_groups[0]["params"] == list(other.parameters())
    again = HostAdamW(other.parameters(), **options)
    again.load_state_dict(hosted.state_dict())
    assert len(again.state) == 4


def test_host_states_skip_what_has_no_gradient():
    layer = Linear(2, 2)
    before = layer.bias.detach().clone()
    layer.weight.grad = torch.ones_like(layer.weight)
    optimiser = HostAdamW(layer.parameters(), lr=0.1)
    optimiser.step()
    assert torch.equal(layer.bias, before) and len(optimiser.state) == 1


@pytest.mark.parametrize("name", ["dreambooth-lora", "textual-inversion", "custom-diffusion"])
def test_frozen_weights_are_shared_and_left_alone(lab, subject, name, monkeypatch):
    base = lab.diffusion
    before = {key: p.clone() for key, p in named(base).items()}
    trainer = lab.personalize(name, **SMALL)
    fitted = trainer.fit(subject)
    assert all(torch.equal(before[key], p) for key, p in named(base).items())
    assert set(before) == set(named(base))  # no adapter, processor or word went into the base
    shares = type(trainer.settings.method(subject))
    monkeypatch.setattr(shares, "shared", lambda self, model: [])
    whole = trainer.fit(subject)
    with torch.no_grad():
        for key, tensor in whole.method.state(whole.model).items():
            assert torch.equal(tensor, fitted.method.state(fitted.model)[key]), key
    unet = sum(p.nbytes for p in base.pipe.unet.parameters())
    assert own_bytes(whole.model, base) - own_bytes(fitted.model, base) >= unet


def test_full_fine_tuning_shares_nothing(lab, subject):
    fitted = lab.personalize("dreambooth", **SMALL).fit(subject)
    assert own_bytes(fitted.model, lab.diffusion) == sum(
        p.nbytes for p in named(lab.diffusion).values()
    )


def test_weights_in_half_give_the_same_bits_and_come_back():
    lab = Lab("mini", device="cpu", autocast=torch.bfloat16)
    unet, model = lab.diffusion.pipe.unet, lab.diffusion
    before = {key: p.clone() for key, p in unet.named_parameters()}
    latents, t = torch.randn(1, unet.config.in_channels, 8, 8), torch.tensor([500])
    context = model.embed(["a photo of a person"])

    def once():
        x = latents.clone().requires_grad_(True)
        told = context.detach().clone().requires_grad_(True)
        out = model.denoise(x, t, told)
        return (out, *torch.autograd.grad(out.square().sum(), (x, told)))

    plain, whole = once(), sum(p.nbytes for p in unet.parameters())
    with weights_in(unet, torch.bfloat16):
        slim = once()
        assert sum(p.nbytes for p in unet.parameters()) < 0.6 * whole
        assert unet.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(plain, slim))
    assert all(torch.equal(before[key], p) for key, p in unet.named_parameters())
    with weights_in(unet, torch.float32):
        assert sum(p.nbytes for p in unet.parameters()) == whole


def test_what_is_trained_is_never_rounded():
    layer = torch.nn.Sequential(Linear(2, 2), Linear(2, 2))
    layer[0].requires_grad_(False)
    with pytest.raises(KeyError), weights_in(layer, torch.bfloat16):
        assert layer[0].weight.dtype == torch.bfloat16
        assert layer[1].weight.dtype == torch.float32
        raise KeyError
    assert {p.dtype for p in rounded_by_autocast(layer)} == {torch.float32}


def test_modules_go_to_the_host_and_back():
    layer = Linear(2, 2, device="meta")
    with pytest.raises(NotImplementedError), on_host(layer):  # meta holds no data to be moved
        pass
    layer = Linear(2, 2)
    before = layer.weight.data_ptr()
    with on_host(layer):
        assert layer.weight.device.type == "cpu"
    assert layer.weight.data_ptr() == before


@pytest.mark.parametrize("name", ["dreambooth", "dreambooth-lora", "custom-diffusion"])
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)]
)
def test_low_memory_trains_the_same(subject, name, dtype):
    """One picture at a time through the VAE rounds otherwise; nothing else does.

    AdamW's first steps are signs, so a gradient near 0 may turn: a share of weights is compared.
    """
    lab = Lab("mini", device="cpu", autocast=dtype)
    plain = lab.personalize(name, **SMALL).fit(subject)
    lean = lab.personalize(name, **SMALL, low_memory=True).fit(subject)
    assert lean.losses == pytest.approx(plain.losses, rel=1e-2)
    ours, theirs = (
        torch.cat([p.detach().flatten() for p in one.method.state(one.model).values()])
        for one in (lean, plain)
    )
    assert ((ours - theirs).abs() < 1e-4).float().mean() > (0.99 if dtype == torch.float32 else 0.9)
    assert lean.model.pictures_at_once == 1
    assert {p.dtype for p in named(lab.diffusion).values()} == {torch.float32}


def test_low_memory_alone_rounds_nothing(lab, subject, monkeypatch):
    """Bit for bit, where the VAE takes one picture at a time in both."""
    monkeypatch.setattr(type(lab.diffusion), "pictures_at_once", 1)
    plain = lab.personalize("dreambooth", **SMALL).fit(subject)
    lean = lab.personalize("dreambooth", **SMALL, low_memory=True).fit(subject)
    assert lean.losses == plain.losses
    assert all(
        torch.equal(a, b) for a, b in zip(named(lean.model).values(), named(plain.model).values())
    )


def test_low_memory_keeps_moments_on_the_host(lab):
    prompts = ("a photo of sks person", "a photo of a person")
    trainee = Trainee(lab.diffusion.clone(), prompts, None, 1e-6, host_states=True)
    assert isinstance(trainee.optimiser, HostAdamW)
    fused = Trainee(lab.diffusion.clone(), prompts, None, 1e-6, host_states=True, fused=True)
    assert not isinstance(fused.optimiser, HostAdamW)


def test_pictures_at_once_follow_the_resolution(lab):
    from dataclasses import replace

    model = lab.diffusion
    assert model.pictures_at_once == 16
    assert replace(model, side=512).pictures_at_once == 4
    assert replace(model, side=4096).pictures_at_once == 1
    latents = torch.randn(5, model.pipe.unet.config.in_channels, 8, 8)
    one = replace(model, at_once=1)
    torch.testing.assert_close(one.decode(latents), model.decode(latents), atol=1e-5, rtol=0)


SURROGATE = {"eps": "8/255", "class_images": 4, "surrogate_lr": 1e-3}
SHORT = {
    "aspl": {"rounds": 2, "pgd_steps": 1, "clean_steps": 1, "perturbed_steps": 1},
    "simac": {
        "rounds": 1,
        "pgd_steps": 1,
        "clean_steps": 1,
        "perturbed_steps": 1,
        "keep": 900,
    },
    "fsmg": {"steps": 1, "surrogate_steps": 1, "inner_steps": 1},
    "metacloak": {"pool_steps": 2, "interval": 1, "advance": 1, "trials": 1, "pgd_steps": 1},
}


@pytest.mark.parametrize("name", marked(SHORT))
def test_low_memory_attacks_alike(lab, subject, name):
    """Up to rounding: one picture at a time, and the sign of a gradient near 0 may turn."""
    how = SURROGATE | SHORT[name]
    plain = lab.attack(name, **how)(subject).images
    lean = lab.attack(name, low_memory=True, **how)(subject).images
    assert (plain == lean).float().mean() > 0.98
    assert lab.diffusion.device == lab.diffusion.pipe.vae.device
    assert not lab.diffusion.pipe.unet.is_gradient_checkpointing


def test_base_weights_are_in_half_during_a_low_memory_attack_alone(subject, monkeypatch):
    from shortcut_nb.attacks.advdm import AdvDM

    lab = Lab("mini", device="cpu", autocast=torch.bfloat16)
    weights = list(rounded_by_autocast(lab.diffusion.pipe.unet))
    seen = []
    whole = AdvDM.round

    def spied(self, run, number):
        seen.append({p.dtype for p in weights})
        return whole(self, run, number)

    monkeypatch.setattr(AdvDM, "round", spied)
    plain = lab.attack("advdm", steps=1)(subject).images
    lean = lab.attack("advdm", steps=1, low_memory=True)(subject).images
    assert seen == [{torch.float32}, {torch.bfloat16}]
    assert {p.dtype for p in weights} == {torch.float32}
    assert (plain == lean).float().mean() > 0.9


def test_a_lora_surrogate_leaves_the_base_alone_and_goes_on_from_a_checkpoint(
    lab, subject, tmp_path
):
    before = {key: p.clone() for key, p in named(lab.diffusion).items()}
    how = SURROGATE | SHORT["aspl"] | {"surrogate": "lora", "surrogate_lr": 1e-2}
    attack = lab.attack("aspl", **how)
    whole = attack(subject).images
    full = lab.attack("aspl", **SURROGATE, **SHORT["aspl"])(subject).images
    assert not torch.equal(whole, full)
    assert all(torch.equal(before[key], p) for key, p in named(lab.diffusion).items())

    def stop(info):
        if info.step == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        attack(subject, on_step=stop, checkpoint=path, every=1)
    assert torch.equal(attack(subject, checkpoint=path, every=1).images, whole)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_pool_of_metacloak_lies_on_disk(lab, subject, tmp_path):
    attack = lab.attack("metacloak", low_memory=True, **SURROGATE, **SHORT["metacloak"])
    whole = attack(subject).images
    pool = tmp_path / "run.pool"

    def stop(info):
        assert len(list(pool.glob("*.safetensors"))) == 2
        if info.step == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        attack(subject, on_step=stop, checkpoint=path, every=1)
    size = sum(p.nbytes for p in named(lab.diffusion).values())
    assert sum(file.stat().st_size for file in pool.iterdir()) > 2 * size
    fixed = tmp_path / "run.fixed"
    assert fixed.stat().st_size < size / 10
    assert torch.equal(attack(subject, checkpoint=path, every=1).images, whole)
    assert list(tmp_path.iterdir()) == []
