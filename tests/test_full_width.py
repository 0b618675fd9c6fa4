"""Stable Diffusion 1.5 at its full width and 512 pixels, random weights, one real step of each.

Two minutes on one core that has bfloat16, and 9 GB of memory; full fine-tuning would take 20 GB.
On a CPU, device and host are one memory: what the work takes is held against the table's sum.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shortcut_nb import Lab, Subject
from shortcut_nb.machine.memory import GB, need
from shortcut_nb.personalize.lora import FILE
from shortcut_nb.personalize.methods import named
from shortcut_nb.profile import Sampling
from tests.fake_memory import pipeline

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FREE = Path("/proc/meminfo")
WANTED = 11 * GB
SLACK = 0.1  # of the count: what kernels take inside themselves, and what the allocator leaves
EVICTED = 0.2  # of the count: pages that a machine short of memory takes back meanwhile

pytestmark = pytest.mark.slow


def number_in(path: Path, name: str) -> int:
    """Bytes that a line "name: … kB" of Linux's says; 0 where there is none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.fixture(scope="module")
def before():
    """Bytes that the process has before there is a model."""
    free = number_in(FREE, "MemAvailable")
    if 0 < free < WANTED:
        pytest.skip(f"wants {WANTED / GB:.0f} GB of free memory; {free / GB:.1f} GB are free")
    return number_in(STATUS, "VmRSS")


@pytest.fixture(scope="module")
def lab(before):
    """A lab around an open pipeline: weights in float32, arithmetic in bfloat16."""
    torch.manual_seed(0)
    lab = Lab.from_pipeline(pipeline("sd15"), sampling=Sampling(steps=1, guidance_scale=1.0))
    vars(lab)["diffusion"] = replace(lab.diffusion, autocast=torch.bfloat16)
    return lab


@pytest.fixture(scope="module")
def subject(lab):
    pictures = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))
    return Subject.from_images(pictures, "person", "sks", words=lab.profile.prompts)


@pytest.fixture
def peak(before):
    """Starts to watch the memory; gives what says how many bytes the work took at most."""
    if not RESET.exists():
        pytest.skip("wants Linux, which says how much memory a process took at most")
    RESET.write_text("5")
    return lambda: number_in(STATUS, "VmHWM") - before


def prints(lab: Lab) -> dict[str, float]:
    """A number for each weight of the base model."""
    return {name: float(p.double().square().sum()) for name, p in named(lab.diffusion).items()}


def test_advdm_takes_a_step_inside_its_budget(lab, subject, peak):
    attack = lab.attack("advdm", steps=1, start="zero", eps="4/255", alpha="2/255", low_memory=True)
    result = attack(subject)
    counted = need("sd15", "advdm", low_memory=True)
    together = counted.device + counted.host
    assert (1 - EVICTED) * together < peak() < (1 + SLACK) * together
    change = ((result.images - subject.images) * 255).round()
    assert result.linf_pixels == [2]
    assert (change != 0).float().mean() > 0.99  # a gradient came to every pixel
    assert 0.4 < (change > 0).float().mean() < 0.6  # and not the same one
    assert torch.isfinite(result.loss_trace).all()
    assert result.loss_trace.mean() == pytest.approx(1, abs=0.5)  # of unit noise, nothing known
    dtypes = {p.dtype for p in named(lab.diffusion).values()}
    assert dtypes == {torch.float32}  # low_memory put them back


def test_lora_learns_and_leaves_the_base_model_alone(lab, subject, peak, tmp_path):
    kept = prints(lab)
    how = {"steps": 1, "prior_weight": 0, "lr": 1e-2, "low_memory": True}
    fitted = lab.personalize("dreambooth-lora", **how).fit(subject)
    counted = need("sd15", "dreambooth-lora", low_memory=True)
    # No class pictures here, while which the device's peak is.
    assert counted.weights + counted.host < peak() < (1 + SLACK) * (counted.device + counted.host)
    assert fitted.losses == [pytest.approx(1, abs=0.5)]
    up = {k: p for k, p in named(fitted.model, "lora_B").items() if k.startswith("unet.")}
    assert len(up) == 4 * 2 * 16  # projections, self and cross attention, blocks
    assert all(p.abs().max() > 0 for p in named(fitted.model, "lora_B").values())  # were 0
    assert prints(lab) == kept
    state = load_file(fitted.save(tmp_path / "lora") / FILE)
    assert len(state) == len(named(fitted.model, "lora_"))
    drawn = fitted.sample(1, seed=0)
    assert drawn.shape == (1, 3, 512, 512) and torch.isfinite(drawn).all()
    assert drawn.min() >= 0 and drawn.max() <= 1 and drawn.std() > 0.05
