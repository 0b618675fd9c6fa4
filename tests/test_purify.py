"""The contract of every purifier, and what each must do beyond it."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from shortcut_nb.purify import PURIFIERS, Chain, Jpeg, Purifier, Restorer, bound, build, register
from shortcut_nb.purify.gaussian import Gaussian

from .tiny_lab import TinyLab

LAB = TinyLab()
# Small settings of each purifier, and the settings that leave a picture as it is.
SMALL = {
    "none": {}, "jpeg": {}, "gaussian": {}, "restorer": {}, "median": {}, "resize": {},
    "quantise": {}, "tvm": {}, "vae": {}, "ldiffpure": {"steps": 2}, "eldiffpure": {"steps": 2},
    "impress": {"steps": 3}, "diffpure": {"steps": 3}, "ddspure": {},
    "gridpure": {"iterations": 2, "steps": 2}, "sr": {"steps": 2}, "face-restorer": {},
    "pdmpure": {"steps": 2, "upscale": True, "upscale_steps": 2},
}  # fmt: skip
OFF = {
    "none": {}, "gaussian": {"sigma": 0}, "restorer": {"strength": 0}, "median": {"size": 1},
    "resize": {"factor": 1}, "tvm": {"weight": 0, "keep": 1.0}, "vae": {"strength": 0},
    "ldiffpure": {"strength": 0}, "eldiffpure": {"strength": 0}, "impress": {"steps": 0},
    "diffpure": {"strength": 0}, "ddspure": {"sigma": "0/255"}, "gridpure": {"strength": 0},
    "face-restorer": {"strength": 0}, "pdmpure": {"strength": 0},
}  # fmt: skip
OURS = tuple(SMALL)


def make(spec, **more):
    return bound(spec, LAB, **{**SMALL.get(spec, {}), **more})


def test_every_purifier_is_in_the_table():
    assert set(SMALL) == set(PURIFIERS)


def pictures(n=3, high=24, wide=24, seed=0):
    return torch.rand(n, 3, high, wide, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(24, 24), (17, 29), (8, 8)])
@pytest.mark.parametrize("spec", [*OURS, "jpeg+restorer"])
def test_contract(spec, size):
    purify = make(spec)
    assert isinstance(purify.settings, Purifier) and purify.name == spec
    x = pictures(3, *size)
    kept = x.clone()
    out = purify(x)
    assert out.shape == x.shape and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1 and torch.isfinite(out).all()
    assert torch.equal(x, kept) and out.data_ptr() != x.data_ptr()
    assert torch.equal(out, purify(x))


@pytest.mark.parametrize("spec", [*OURS, "jpeg+vae+diffpure"])
def test_reports_at_least_once_and_ends_at_the_total(spec):
    seen = []
    make(spec)(pictures(2, 40, 40), on_step=lambda i: seen.append((i.step, i.total)))
    shares = [step / total for step, total in seen]
    assert shares == sorted(shares) and shares[-1] == 1 == len([s for s in shares if s == 1])


def test_each_window_part_and_link_reports():
    def seen(purify):
        steps = []
        purify(pictures(2, 24, 24), on_step=lambda i: steps.append((i.step, i.total)))
        return steps

    assert seen(make("diffpure")) == [(n, 4) for n in range(1, 5)]  # windows of 16, half apart
    assert seen(make("jpeg+diffpure")) == [(1, 2), *((4 + n, 8) for n in range(1, 5))]
    two = make("pdmpure")
    last = len(seen(bound("sr", LAB, steps=2)))
    assert len(seen(two)) == 4 + last and seen(two)[-1][0] == seen(two)[-1][1]


def test_the_autoencoder_takes_no_more_pictures_than_its_model_says(monkeypatch):
    x, sizes, real = pictures(5), [], type(LAB.diffusion).posterior
    whole = make("vae")(x)
    monkeypatch.setattr(type(LAB.diffusion), "pictures_at_once", 2)
    monkeypatch.setattr(
        type(LAB.diffusion),
        "posterior",
        lambda self, part: sizes.append(len(part)) or real(self, part),
    )
    seen = []
    out = make("vae")(x, on_step=lambda i: seen.append((i.step, i.total)))
    assert sizes == [2, 2, 1] and seen == [(2, 5), (4, 5), (5, 5)]
    assert torch.allclose(out, whole, atol=1e-5)


@pytest.mark.parametrize("spec", [name for name in OURS if name != "none"])
def test_something_happens_and_each_picture_is_on_its_own(spec):
    purify, x = make(spec), pictures()
    out = purify(x)
    assert (out - x).abs().max() > 0.01
    # Picture 0 draws from its own seed, whatever comes after it.
    assert torch.allclose(out[:1], purify(x[:1]), atol=1e-4)


@pytest.mark.parametrize("spec", sorted(OFF))
def test_zero_strength_is_the_identity(spec):
    x = pictures()
    out = make(spec, **OFF[spec])(x)
    assert torch.equal(out, x) and out.data_ptr() != x.data_ptr()


@pytest.mark.parametrize(
    "spec,key,values",
    [
        ("gaussian", "sigma", (0.5, 1, 2)), ("median", "size", (1, 3, 7)),
        ("resize", "factor", (1, 2, 4)), ("quantise", "bits", (6, 4, 2)),
        ("jpeg", "quality", (95, 60, 10)), ("tvm", "weight", (0.01, 0.1, 0.5)),
        ("vae", "strength", (0.2, 0.5, 1)), ("restorer", "strength", (0.2, 0.5, 1)),
        ("ddspure", "sigma", ("8/255", "32/255", "128/255")),
        ("face-restorer", "strength", (0.2, 0.5, 1)),
    ],
)  # fmt: skip
def test_more_strength_moves_pictures_further(spec, key, values):
    x = pictures()
    moved = [(make(spec, **{key: v})(x) - x).square().mean().item() for v in values]
    assert moved == sorted(moved) and moved[0] < moved[-1]


@pytest.mark.parametrize("spec", OURS)
def test_tiny_pictures_are_refused_clearly(spec):
    with pytest.raises(ValueError, match="8"):
        make(spec)(pictures(1, 24, 1))


@pytest.mark.parametrize(
    "spec",
    ["ldiffpure", "diffpure", "ddspure", "gridpure", "pdmpure", "sr", "impress"],
)
def test_a_seed_decides(spec):
    x = pictures(1)
    first = make(spec)(x)
    assert torch.equal(first, make(spec)(x))
    assert not torch.equal(first, make(spec, seed=1)(x))


def test_a_chain_is_the_composition():
    x = pictures()
    chain = build("jpeg+gaussian", quality=30, sigma=0.8)
    assert isinstance(chain, Chain)
    assert torch.equal(chain(x), Gaussian(0.8)(Jpeg(30)(x)))
    assert not torch.equal(chain(x), build("gaussian+jpeg", quality=30, sigma=0.8)(x))


def test_jpeg_is_pillows():
    x = pictures(1, 20, 30)
    file = io.BytesIO()
    pixels = (x[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    expected = np.asarray(Image.open(file)).astype(np.float32) / 255
    actual = Jpeg(40)(x)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(actual, expected)
    assert not torch.equal(Jpeg(90)(x), Jpeg(40)(x))


def test_gaussian_keeps_the_mean_and_has_the_width_it_says():
    x = torch.zeros(1, 3, 41, 41)
    x[..., 20, 20] = 1
    out = Gaussian(2.0)(x)[0, 0]
    place = torch.arange(41.0) - 20
    assert out.sum() == pytest.approx(1, abs=1e-4)
    assert (out.sum(dim=0) * place**2).sum().sqrt() == pytest.approx(2.0, abs=0.02)


def test_restorer_subtracts_what_the_network_finds():
    x = pictures(2, 16, 16)
    with torch.no_grad():
        noisy = x * 2 - 1
        expected = (noisy - LAB.restorer(noisy, 0).sample + 1) / 2
    full = bound("restorer", LAB)(x)
    assert torch.allclose(full, expected.clamp(0, 1), atol=1e-5)
    half = bound("restorer", LAB, strength=0.5)(x)
    assert torch.allclose(half, (x + full) / 2, atol=1e-5)


def test_restorer_pads_by_reflection():
    x = pictures(1, 13, 16)
    grown = torch.nn.functional.pad(x, (0, 0, 0, 3), mode="reflect")
    expected = bound("restorer", LAB)(grown)[..., :13, :]
    assert torch.allclose(bound("restorer", LAB)(x), expected, atol=1e-6)


def test_restorer_puts_the_networks_mode_back_and_reports():
    LAB.restorer.train()
    try:
        seen = []
        bound("restorer", LAB)(pictures(), on_step=lambda i: seen.append((i.step, i.total)))
        assert LAB.restorer.training and seen == [(3, 3)]
    finally:
        LAB.restorer.eval()


def test_purifiers_are_values():
    assert bound("restorer", LAB).settings == Restorer() and hash(build("restorer")) == hash(
        Restorer()
    )
    assert Jpeg(10) != Jpeg(20) and build("jpeg+none") == build("jpeg+none")
    assert "UNet" not in repr(bound("restorer", LAB))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Jpeg().quality = 3


def test_an_unknown_name_lists_the_nearest_three():
    with pytest.raises(ValueError, match="jpeg") as caught:
        build("jpg")
    near = str(caught.value).split("nearest are ")[1].split(". All")[0]
    assert near.split(", ")[0] == "jpeg" and len(near.split(", ")) == 3


def test_each_link_has_its_own_defaults():
    defaults = {"jpeg": {"quality": 30}, "gaussian": {"sigma": 0.8}, "ldiffpure": {"steps": 2}}
    chain = build("jpeg+gaussian", defaults=defaults, sigma=2.0)
    assert chain.links == (Jpeg(30), Gaussian(2.0))
    both = build("ldiffpure+sr", defaults=defaults | {"sr": {"steps": 3}})
    both = both.prepared(LAB.profile, "dog")
    assert [link.steps for link in both.links] == [2, 3]
    assert all("dog" in link.prompt for link in both.links)


def test_no_more_steps_than_there_are_timesteps():
    x = pictures(1)
    out = bound("eldiffpure", LAB, strength=0.002)(x)  # its default of 300 steps would not fit
    assert out.shape == x.shape


def test_parameters_go_to_the_link_that_has_them():
    with pytest.raises(ValueError, match="no link has it"):
        build("jpeg+none", sigma=1)
    with pytest.raises(ValueError, match="several links"):
        build("jpeg+jpeg", quality=1)
    with pytest.raises(ValueError, match="no link has it"):
        build("restorer", network=LAB.restorer)


@pytest.mark.parametrize(
    "make",
    [lambda: Jpeg(0), lambda: Jpeg(101), lambda: Gaussian(-1), lambda: Restorer(strength=1.5)],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_no_network_and_bad_pictures_are_said():
    with pytest.raises(ValueError, match="needs models"):
        Restorer()(pictures())
    for spec in OURS:
        with pytest.raises(ValueError, match="0, 1"):
            make(spec)(pictures() * 255)


def test_a_new_purifier_joins_and_no_name_is_taken_twice():
    @register("test-invert")
    @dataclasses.dataclass(frozen=True)
    class Invert(Purifier):
        def run(self, images, models, on_step):
            return 1 - images

    try:
        x = pictures()
        assert torch.equal(build("test-invert+jpeg")(x), Jpeg()(1 - x))
        with pytest.raises(ValueError, match="exists already"):
            register("test-invert")(Invert)
        with pytest.raises(ValueError, match="letters"):
            register("a+b")(Invert)
    finally:
        del PURIFIERS["test-invert"]
