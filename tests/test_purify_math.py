"""Purifiers against closed forms."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from shortcut_nb.diffusion import generators
from shortcut_nb.networks.pixel_diffusion import PixelDiffusion
from shortcut_nb.purify import bound, build, windows
from shortcut_nb.purify.tvm import TVM
from shortcut_nb.purify.windows import boxes, in_windows, shares, starts

from .tiny_lab import TinyLab

LAB = TinyLab()
SCHEDULE = DDPMScheduler(num_train_timesteps=1000)


class GaussianPrior(torch.nn.Module):
    """The perfect denoiser of pictures whose pixels are N(mean, std²), as noise prediction."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.anchor = torch.nn.Parameter(torch.zeros(()))

    def forward(self, noisy, t):
        kept = SCHEDULE.alphas_cumprod[t.cpu()].view(-1, 1, 1, 1)
        signal, dirt = kept * self.std**2, 1 - kept
        seen = noisy - kept.sqrt() * self.mean
        clean = self.mean + kept.sqrt() * self.std**2 / (signal + dirt) * seen
        noise = (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()
        return type("Out", (), {"sample": noise})()


@pytest.fixture
def perfect():
    return PixelDiffusion(GaussianPrior(0.1, 0.2), SCHEDULE, 16)


def test_ancestral_denoising_draws_from_the_prior(perfect):
    """Noise a sample of the prior and denoise it with the perfect model: the prior again."""
    draw = torch.Generator().manual_seed(0)
    x = 0.1 + 0.2 * torch.randn(24, 3, 16, 16, generator=draw)
    source = generators(range(24))
    # The posterior's variance is that of a known clean picture: exact for many small steps only.
    for steps, tolerance in ((300, 0.04), (30, 0.2)):
        noisy = perfect.add_noise(x, 299, source)
        out = perfect.denoise(noisy, 299, steps, source)
        assert out.mean().item() == pytest.approx(0.1, abs=0.01)
        assert out.std().item() == pytest.approx(0.2, rel=tolerance)


def test_one_step_is_the_posterior_mean(perfect):
    noisy = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 0.3
    kept = SCHEDULE.alphas_cumprod[120]
    gain = kept.sqrt() * 0.04 / (kept * 0.04 + 1 - kept)
    want = 0.1 + gain * (noisy - kept.sqrt() * 0.1)
    torch.testing.assert_close(perfect.guess(noisy, 120), want, rtol=1e-4, atol=1e-5)


def test_each_step_is_the_schedulers(perfect):
    """With all timesteps the transition is DDPMScheduler.step's, up to its drawn noise."""
    noisy = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 0.3
    ours = perfect.denoise(noisy, 3, 1000, generators([5]))
    x, source = noisy, generators([5])
    for t in (3, 2, 1, 0):
        guess = perfect.unet(x, torch.tensor([t])).sample
        x = SCHEDULE.step(guess, t, x, generator=source[0]).prev_sample
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)


def test_ddspure_takes_the_timestep_of_its_sigma():
    model = LAB.pixel_diffusion
    for k in (4, 16, 64):
        t = bound("ddspure", LAB, sigma=f"{k}/255").timestep(model)
        ratio = (1 - SCHEDULE.alphas_cumprod[t]) / SCHEDULE.alphas_cumprod[t]
        step = SCHEDULE.alphas_cumprod[[max(t - 1, 0), t + 1]]
        near = (1 - step) / step
        assert near[0] <= (2 * k / 255) ** 2 * 1.05 and (2 * k / 255) ** 2 <= near[1] * 1.05
        assert ratio.item() == pytest.approx((2 * k / 255) ** 2, rel=0.35)
    # The released indices of ALGORITHMS: 2, 6, 10, 16 of 250 steps.
    for k, index in ((4, 2), (8, 6), (11, 10), (16, 16)):
        t = bound("ddspure", LAB, sigma=f"{k}/255", variant="released").timestep(model)
        assert t == 4 * index


def test_gridpure_stays_within_a_shorter_schedule():
    long = LAB.pixel_diffusion
    short = PixelDiffusion(long.unet, DDPMScheduler(num_train_timesteps=250), 16)
    grid = build("gridpure", strength=0.9, variant="released", iterations=2, steps=1)
    assert grid.timestep(short) == 249 and grid.timestep(long) == 999
    other = TinyLab()
    other.pixel_diffusion = short
    assert grid(torch.rand(1, 3, 16, 16), other).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("high,wide", [(16, 16), (17, 40), (33, 29)])
def test_shares_of_windows_sum_to_one_and_windows_cover(high, wide):
    share, total = shares(high, wide, 16, 8), torch.zeros(high, wide)
    for top, left in boxes(high, wide, 16, 8):
        total[top : top + 16, left : left + 16] += share[top : top + 16, left : left + 16]
    torch.testing.assert_close(total, torch.ones(high, wide))
    assert starts(wide, 16, 8)[-1] == wide - 16
    with pytest.raises(ValueError, match="smaller"):
        starts(15, 16, 8)


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW", 32)
    monkeypatch.setattr(windows, "OVERLAP", 8)


@pytest.mark.parametrize("size", [(50, 70), (33, 32), (20, 90)])
def test_work_in_windows_is_the_work_itself_where_it_is_local(size, small_windows, monkeypatch):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    seen = []

    def work(part):
        seen.append(part.shape[-2:])
        return part * 0.5 + 0.1

    torch.testing.assert_close(in_windows(work, x), x * 0.5 + 0.1)
    assert len(seen) > 1 and all(max(shape) <= 32 for shape in seen)
    monkeypatch.setattr(windows, "WINDOW", 90)
    assert torch.equal(in_windows(work, x), work(x))


def test_windows_fade_into_each_other(small_windows):
    """A seam between windows that disagree by 1 is spread over the overlap."""
    x, level = torch.zeros(1, 3, 32, 56), iter([0.0, 1.0])
    out = in_windows(lambda part: part + next(level), x)
    row = out[0, 0, 0]
    assert row[:24].max() == 0 and row[32:].min() == 1
    assert (row[24:32].diff() > 0).all() and row.diff().max() < 0.2


@pytest.mark.parametrize("name", ["restorer", "vae", "sr", "eldiffpure", "impress"])
def test_network_purifiers_take_large_pictures_in_windows(name, monkeypatch):
    """Windows of 64 pixels stand for those of a photograph."""
    monkeypatch.setattr(windows, "WINDOW", 64)
    monkeypatch.setattr(windows, "OVERLAP", 16)
    few = {} if name in ("restorer", "vae") else {"steps": 2}
    x = torch.rand(2, 3, 100, 70, generator=torch.Generator().manual_seed(1))
    out = bound(name, LAB, **few)(x)
    assert out.shape == x.shape and torch.isfinite(out).all()
    assert torch.equal(out, bound(name, LAB, **few)(x))


@pytest.mark.slow
def test_a_photograph_of_four_megapixels_fits_in_memory():
    code = (
        "import torch\n"
        "from shortcut_nb import Lab\n"
        "from shortcut_nb.experiments.process_memory import own_peak\n"
        "lab = Lab('mini', device='cpu', autocast=torch.float32)\n"
        "x = torch.rand(1, 3, 2000, 2000)\n"
        "assert lab.purifier('restorer')(x).shape == x.shape\n"
        "print(own_peak())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 2560  # MiB; one pass over the whole takes more than 4 GB


def test_windows_leave_a_picture_whole_when_the_model_does():
    """Noise removed exactly: windows, padding and averaging must not show."""

    class Oracle(PixelDiffusion):
        def denoise(self, noisy, t, steps, source):
            return self.held.pop(0)

        def add_noise(self, x, t, source):
            self.held.append(x)
            return x

    oracle = Oracle(LAB.pixel_diffusion.unet, SCHEDULE, 16)
    object.__setattr__(oracle, "held", [])
    x = torch.rand(2, 3, 41, 23, generator=torch.Generator().manual_seed(3))
    other = TinyLab()
    other.pixel_diffusion = oracle
    for name in ("diffpure", "gridpure"):
        out = build(name)(x, other)
        assert (out - x).abs().max() <= (1e-6 if name == "diffpure" else 0.5 / 255 + 1e-6)


def test_total_variation_of_a_step_is_known():
    """min ½‖u − f‖² + λ·TV(u) of a step moves each side by λ over its width, in closed form."""
    x = torch.full((1, 3, 16, 48), 0.2)
    x[..., 24:] = 0.8
    out = TVM(weight=0.3, keep=1.0)(x)
    want = x.clone()
    want[..., :24] += 0.3 / 24
    want[..., 24:] -= 0.3 / 24
    assert (out - want).abs().max() < 2e-3


def test_dropped_pixels_are_filled_in():
    """Half of a step's pixels are missing: far better than filling in their mean, 0.5."""
    x = torch.full((1, 3, 32, 32), 0.2)
    x[..., 16:] = 0.8
    out = TVM(weight=0.01, keep=0.5)(x)
    assert (out - x).abs().mean() < 0.03  # the mean would be wrong by 0.3 at half the pixels
    assert (out[..., :14] - 0.2).abs().max() < 0.1


def test_impress_goes_downhill():
    lab = LAB
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    purify = bound("impress", lab, steps=25, start_noise=0.0)
    out = purify(x)
    with torch.no_grad():
        given = lab.perceptual.activations(x)
        before = purify.objective(lab, x * 2 - 1, given)
        after = purify.objective(lab, out * 2 - 1, given)
    assert (after < before).all()


def test_quantised_values_lie_on_their_grid():
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    out = build("quantise", bits=3)(x)
    assert np.allclose(out.numpy() * 7, (out.numpy() * 7).round(), atol=1e-5)
    assert (out - x).abs().max() <= 0.5 / 7 + 1e-6


def test_edit_with_little_strength_stays_close():
    x = LAB.subject("mini:held-out/0").b[:1]
    near = bound("eldiffpure", LAB, strength=0.04, steps=2)(x)
    far = bound("eldiffpure", LAB, strength=0.8, steps=6)(x)
    assert (near - x).square().mean() < (far - x).square().mean()
