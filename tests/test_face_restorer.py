"""Face restorers: size handling with a tiny network, loading with real architectures."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate, pad

from shortcut_nb import Lab
from shortcut_nb.networks.face_network import FaceNetwork, read_weights, weights_file
from shortcut_nb.profile import ModelRef, load_profile
from shortcut_nb.purify import bound
from shortcut_nb.purify.face_restorer import FaceRestorer
from shortcut_nb.weights import cached_file_digests

from .tiny_lab import TinyLab

LAB = TinyLab()


def pictures(n=1, high=24, wide=24, seed=0):
    return torch.rand(n, 3, high, wide, generator=torch.Generator().manual_seed(seed))


def lab_with(path, **options):
    ref = ModelRef(id=str(path), loader="spandrel", options=options)
    return Lab(load_profile("mini").model_copy(update={"purifiers": {"face-restorer": ref}}), "cpu")


def test_a_picture_of_the_networks_size_is_shown_as_it_is():
    x = pictures(2, 32, 32)
    with torch.no_grad():
        shown = x * 2 - 1
        expected = (shown - 0.75 * LAB.restorer(shown, 0).sample) / 2 + 0.5
    restored = bound("face-restorer", LAB, fidelity=0.25)(x)
    assert torch.allclose(restored, expected.clamp(0, 1), atol=1e-6)
    half = bound("face-restorer", LAB, fidelity=0.25, strength=0.5)(x)
    assert torch.allclose(half, (x + restored) / 2, atol=1e-6)


def test_other_sizes_are_padded_resized_and_cut_back():
    x = pictures(1, 17, 20)
    square = pad(x, (0, 0, 0, 3), mode="reflect")
    large = interpolate(square, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    small = interpolate(LAB.face(large), (20, 20), mode="bicubic", antialias=True)
    restored = bound("face-restorer", LAB)(x)
    assert torch.allclose(restored, small.clamp(0, 1)[..., :17, :], atol=1e-6)
    # A fidelity of 1 is this network's identity: only the resizing is left, and it is gentle.
    smooth = interpolate(pictures(1, 4, 4), (24, 24), mode="bicubic").clamp(0, 1)
    assert (bound("face-restorer", LAB, fidelity=1)(smooth) - smooth).abs().mean() < 0.01


def test_progress_and_refusals():
    seen = []
    purify = bound("face-restorer", LAB)
    purify(pictures(6), on_step=lambda info: seen.append((info.step, info.total)))
    assert seen == [(4, 6), (6, 6)]
    with pytest.raises(ValueError, match="fidelity must be"):
        FaceRestorer(fidelity=1.1)
    with pytest.raises(ValueError, match="needs models"):
        FaceRestorer()(pictures())


def test_a_profile_without_one_says_so():
    with pytest.raises(ValueError, match="no weights for purifier 'face-restorer'"):
        Lab("mini", "cpu").purifier("face-restorer")


def test_weights_are_found_by_name_and_count_in_the_digest(tmp_path):
    one, other = tmp_path / "one.safetensors", tmp_path / "other.pth"
    save_file({"a": torch.ones(2)}, str(one))
    assert weights_file(one) == weights_file(tmp_path) == one
    torch.save({"a": torch.zeros(2)}, other)
    (tmp_path / "readme.md").write_text("x")
    assert weights_file(tmp_path, "other.pth") == other
    for name in (None, "third.pth"):
        with pytest.raises(ValueError, match="one weights file"):
            weights_file(tmp_path, name)
    assert torch.equal(read_weights(one)["a"], torch.ones(2))
    assert torch.equal(read_weights(other)["a"], torch.zeros(2))
    assert list(cached_file_digests(one)) == ["one.safetensors"]
    before = lab_with(one).digest("purifier:face-restorer")
    save_file({"a": torch.zeros(2)}, str(one))
    assert lab_with(one).digest("purifier:face-restorer") != before


def test_without_spandrel_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    save_file({"a": torch.ones(2)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match=r"pip install .shortcut-nb\[restoration\]"):
        lab_with(tmp_path).purifier("face-restorer")(pictures())


@pytest.fixture(scope="module")
def codeformer(tmp_path_factory):
    """The real architecture with one transformer layer, a small codebook, and random weights."""
    pytest.importorskip("spandrel")
    arches = pytest.importorskip("spandrel_extra_arches").architectures
    torch.manual_seed(0)
    net = arches.CodeFormer.CodeFormer(n_layers=1, codebook_size=16, connect_list=["32"]).eval()
    path = tmp_path_factory.mktemp("codeformer") / "codeformer.safetensors"
    save_file({name: t.contiguous() for name, t in net.state_dict().items()}, str(path))
    return net, path


@pytest.mark.slow
def test_codeformer_from_disk(codeformer):
    net, path = codeformer
    x = pictures(1, 64, 48)
    square = pad(x, (0, 16, 0, 0), mode="reflect")
    large = interpolate(square, (512, 512), mode="bicubic", antialias=True).clamp(0, 1)
    lab = lab_with(path.parent)
    restored = lab.purifier("face-restorer", fidelity=0.7)(x)
    with torch.no_grad():
        drawn = (net(large * 2 - 1, weight=0.7)[0] / 2 + 0.5).clamp(0, 1)
    small = interpolate(drawn, (64, 64), mode="bicubic", antialias=True).clamp(0, 1)
    assert torch.allclose(restored, small[..., :48], atol=1e-4)
    assert (restored - lab.purifier("face-restorer", fidelity=0.0)(x)).abs().max() > 1e-4
    assert not any(p.requires_grad for p in lab.purifier_model("face-restorer").module.parameters())


@pytest.mark.slow
def test_gfpgan_from_a_pickle_on_disk(tmp_path):
    """Released as a pickle of {"params_ema": …}; fresh noise at each call would show here."""
    spandrel = pytest.importorskip("spandrel")
    pytest.importorskip("spandrel_extra_arches")
    torch.manual_seed(0)
    net = spandrel.architectures.GFPGAN.GFPGAN().eval()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.numel() == 1:  # how loud the noise is: zero before training
                weight.fill_(0.5)
    torch.save({"params_ema": net.state_dict()}, tmp_path / "gfpgan.pth")
    face = FaceNetwork.open(tmp_path)
    x = pictures(1, 512, 512)
    with torch.no_grad():
        drawn = net(x * 2 - 1, randomize_noise=False)[0] / 2 + 0.5
    assert torch.allclose(face(x), drawn.clamp(0, 1), atol=1e-4)


def test_other_networks_are_refused(tmp_path):
    spandrel = pytest.importorskip("spandrel")
    arches = pytest.importorskip("spandrel_extra_arches").architectures
    assert arches and spandrel.architectures
    save_file({"a": torch.ones(2)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match="no network that spandrel knows"):
        FaceNetwork.open(tmp_path)
    upscaler = spandrel.architectures.Compact.Compact(num_feat=8, num_conv=2, upscale=2)
    save_file(upscaler.state_dict(), str(tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match="expected a face restorer .* got Compact"):
        FaceNetwork.open(tmp_path)
