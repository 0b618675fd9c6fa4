"""OpenAI's ADM checkpoints give the same outputs as diffusers models."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from shortcut_nb.networks.pixel_diffusion import PixelDiffusion
from shortcut_nb.purify import adm, build
from shortcut_nb.weights import BadWeights

from .adm_unet import AdmUNet

KINDS = {
    "as released": {},
    "new order of q, k, v": {"new_order": True},
    "convolutions between levels": {"resblock_updown": False},
    "no scale-shift": {"scale_shift": False},
    "one level, no learned variance": {"widths": (32,), "attended": (True,), "out_channels": 3},
    "like the 256-pixel model": {"widths": (32, 32, 64, 64), "layers": 1,
                                 "attended": (False, False, True, True)},
}  # fmt: skip


def network(**kind):
    """Random weights, also of the norms, so that no name can take another's place unnoticed."""
    torch.manual_seed(0)
    unet = AdmUNet(**kind).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if weight.dim() == 1:
                weight.add_(0.2 * torch.randn(weight.shape))
            if name.endswith("qkv.weight"):
                weight.mul_(2)  # attention that is far from uniform
    return unet


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_equal(kind):
    theirs = network(**KINDS[kind])
    new_order = KINDS[kind].get("new_order", False)
    ours = adm.convert(theirs.state_dict(), size=32, head_channels=16, new_order=new_order)
    x, t = torch.randn(3, 3, 32, 32), torch.tensor([0, 37, 999])
    with torch.no_grad():
        want, found = theirs(x, t)[:, :3], ours(x, t).sample
    assert want.std() > 0.05
    assert (found - want).abs().max() <= 1e-4
    with torch.no_grad():  # without float32's rounding
        exact = ours.double()(x.double(), t).sample - theirs.double()(x.double(), t)[:, :3]
    assert exact.abs().max() <= 1e-10
    # What a file with half-precision weights gives is the same network.
    half = {name: weight.half() for name, weight in theirs.state_dict().items()}
    again = adm.convert(half, size=32, head_channels=16, new_order=new_order)
    with torch.no_grad():
        assert (again(x, t).sample - want).abs().max() < 0.05
    assert {p.dtype for p in again.parameters()} == {torch.float32}


def test_the_real_256_pixel_layout_is_complete():
    """Shapes only, no memory: every name finds its place, and the size is the published one."""
    with torch.device("meta"):
        widths = (256, 256, 512, 512, 1024, 1024)
        attended = (False, False, False, True, True, True)
        theirs = AdmUNet(widths, attended=attended, head=64)
        ours = adm.convert(theirs.state_dict())
    assert sum(p.numel() for p in theirs.parameters()) == pytest.approx(552.8e6, rel=1e-3)
    assert ours.config.block_out_channels == widths and ours.config.sample_size == 256
    assert ours.config.down_block_types[2:4] == ("ResnetDownsampleBlock2D", "AttnDownBlock2D")


@pytest.mark.parametrize("wrong", [{"new_order": True}, {"head_channels": 32}])
def test_what_no_shape_tells_matters(wrong):
    theirs = network()
    ours = adm.convert(theirs.state_dict(), 32, **{"head_channels": 16, **wrong})
    x, t = torch.randn(1, 3, 32, 32), torch.tensor([500])
    with torch.no_grad():
        assert (ours(x, t).sample - theirs(x, t)[:, :3]).abs().max() > 1e-3


def test_a_file_becomes_a_folder_for_the_pixel_purifiers(tmp_path):
    theirs = network(layers=1)
    torch.save(theirs.state_dict(), tmp_path / "adm.pt")
    app = adm.typer.Typer()
    app.command()(adm.main)
    words = [str(tmp_path / "adm.pt"), str(tmp_path / "pixel"), "--size", "32"]
    done = CliRunner().invoke(app, [*words, "--head-channels", "16"])
    assert done.exit_code == 0, done.output
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert not list((tmp_path / "pixel").rglob("*.bin"))
    model = PixelDiffusion.open(tmp_path / "pixel")
    assert model.window == 32
    kept = model.schedule.alphas_cumprod
    torch.testing.assert_close(kept, (1 - torch.linspace(1e-4, 0.02, 1000)).cumprod(0))
    x = torch.rand(1, 3, 32, 40)
    purify = build("diffpure", strength=0.1, steps=2)
    out = purify.run(x, SimpleNamespace(pixel_diffusion=model), lambda _: None)
    assert out.shape == x.shape and (out - x).abs().max() > 0.01
    with pytest.raises(FileExistsError):
        adm.main(tmp_path / "adm.pt", tmp_path / "pixel")


def test_its_command_says_what_is_missing_in_one_line(tmp_path):
    words = [sys.executable, "-m", adm.__name__, "nofile.pt", "pixel"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "there is no file at nofile.pt: name guided-diffusion's .pt file.\n"


def test_other_checkpoints_are_refused():
    state = network(layers=1).state_dict()
    with pytest.raises(ValueError, match="guided-diffusion"):
        adm.convert({"weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="unconditional"):
        adm.convert(state | {"label_emb.weight": torch.zeros(10, 128)})
    with pytest.raises(ValueError, match="left over"):
        adm.convert(state | {"input_blocks.2.0.extra.weight": torch.zeros(1)}, 32, 16)
    with pytest.raises(ValueError, match="missing"):
        short = {k: v for k, v in state.items() if k != "middle_block.1.proj_out.bias"}
        adm.convert(short, 32, 16)
    with pytest.raises(ValueError, match="divide"):
        adm.convert(state, 32, head_channels=24)
    narrow = {**state, "time_embed.0.weight": torch.zeros(128, 64)}
    with pytest.raises(ValueError, match="as wide"):
        adm.convert(narrow, 32, 16)


def test_nothing_but_tensors_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"input_blocks.0.0.weight": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(BadWeights, match="tensors and nothing else"):
        adm.read_weights(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()
