"""The contract of every purifier, and what each must do beyond it."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image

from shortcut_nb.purify import PURIFIERS, Chain, Jpeg, Purifier, Restorer, build, register
from shortcut_nb.purify.gaussian import Gaussian


class Lab:
    """The one thing a purifier asks of a lab."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = UNet2DModel(
            sample_size=16,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
            layers_per_block=1,
            norm_num_groups=4,
        ).eval()

    def purifier_model(self, name):
        assert name == "restorer"
        return self.model


LAB = Lab()
OURS = ("none", "jpeg", "gaussian", "restorer")


def pictures(n=3, high=24, wide=24, seed=0):
    return torch.rand(n, 3, high, wide, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(24, 24), (17, 29), (8, 8)])
@pytest.mark.parametrize("spec", [*OURS, "jpeg+restorer"])
def test_contract(spec, size):
    purify = build(spec, LAB)
    assert isinstance(purify, Purifier) and purify.name == spec
    x = pictures(3, *size)
    kept = x.clone()
    out = purify(x)
    assert out.shape == x.shape and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1 and torch.isfinite(out).all()
    assert torch.equal(x, kept) and out.data_ptr() != x.data_ptr()
    assert torch.equal(out, purify(x))


@pytest.mark.parametrize("spec", ["jpeg", "gaussian", "restorer"])
def test_something_happens_and_each_picture_is_on_its_own(spec):
    purify, x = build(spec, LAB), pictures()
    out = purify(x)
    assert (out - x).abs().max() > 0.01
    alone = torch.cat([purify(one) for one in x.split(1)])
    assert torch.allclose(out, alone, atol=1e-5)


def test_zero_strength_is_the_identity():
    x = pictures()
    for purify in (build("none"), build("gaussian", sigma=0), build("restorer", LAB, strength=0)):
        assert torch.equal(purify(x), x)


def test_a_chain_is_the_composition():
    x = pictures()
    chain = build("jpeg+gaussian", quality=30, sigma=0.8)
    assert isinstance(chain, Chain)
    assert torch.equal(chain(x), Gaussian(0.8)(Jpeg(30)(x)))
    assert not torch.equal(chain(x), build("gaussian+jpeg", quality=30, sigma=0.8)(x))


def test_jpeg_is_pillows():
    x = pictures(1, 20, 30)
    held = io.BytesIO()
    pixels = (x[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(held, "JPEG", quality=40)
    expected = np.asarray(Image.open(held)).astype(np.float32) / 255
    found = Jpeg(40)(x)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(found, expected)
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
        expected = (noisy - LAB.model(noisy, 0).sample + 1) / 2
    full = build("restorer", LAB)(x)
    assert torch.allclose(full, expected.clamp(0, 1), atol=1e-5)
    half = build("restorer", LAB, strength=0.5)(x)
    assert torch.allclose(half, (x + full) / 2, atol=1e-5)


def test_restorer_pads_by_reflection():
    x = pictures(1, 13, 16)
    grown = torch.nn.functional.pad(x, (0, 0, 0, 3), mode="reflect")
    expected = build("restorer", LAB)(grown)[..., :13, :]
    assert torch.allclose(build("restorer", LAB)(x), expected, atol=1e-6)


def test_restorer_puts_the_networks_mode_back_and_reports():
    LAB.model.train()
    try:
        seen = []
        build("restorer", LAB)(pictures(), on_step=lambda done, total: seen.append((done, total)))
        assert LAB.model.training and seen == [(3, 3)]
    finally:
        LAB.model.eval()


def test_purifiers_are_values():
    assert build("restorer", LAB) == Restorer() and hash(build("restorer", LAB)) == hash(Restorer())
    assert Jpeg(10) != Jpeg(20) and build("jpeg+none") == build("jpeg+none")
    assert "UNet" not in repr(build("restorer", LAB))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Jpeg().quality = 3


def test_an_unknown_name_lists_the_nearest_three():
    with pytest.raises(KeyError, match="jpeg") as caught:
        build("jpg")
    near = str(caught.value).split("nearest are ")[1].split(". All")[0].rstrip("'\"")
    assert near.split(", ")[0] == "jpeg" and len(near.split(", ")) == 3


def test_parameters_go_to_the_link_that_has_them():
    with pytest.raises(TypeError, match="no link has it"):
        build("jpeg+none", sigma=1)
    with pytest.raises(TypeError, match="several links"):
        build("jpeg+jpeg", quality=1)
    with pytest.raises(TypeError, match="no link has it"):
        build("restorer", network=LAB.model)


@pytest.mark.parametrize(
    "make",
    [lambda: Jpeg(0), lambda: Jpeg(101), lambda: Gaussian(-1), lambda: Restorer(strength=1.5)],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_no_network_and_bad_pictures_are_said():
    with pytest.raises(RuntimeError, match="bind"):
        Restorer()(pictures())
    for spec in OURS:
        with pytest.raises(ValueError, match="0, 1"):
            build(spec, LAB)(pictures() * 255)


def test_a_new_purifier_joins_and_no_name_is_taken_twice():
    @register("test-invert")
    @dataclasses.dataclass(frozen=True)
    class Invert:
        def __call__(self, images, on_step=None):
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
