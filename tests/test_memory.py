"""The table of memory: its arithmetic, its bars, and what doctor prints of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.gpu_memory import NETWORK_PURIFIERS, PURIFIERS
from shortcut_nb.cli import app
from shortcut_nb.machine.memory import COUNTED, GB, SHAPES, kinds_of, need, table
from shortcut_nb.profile import PROFILES

ROOT = Path(__file__).resolve().parent.parent

# Shape, work, with low_memory, GB.
BARS = [
    ("sd15", "advdm", True, 6), ("sd21", "advdm", True, 6),
    ("sd15", "aspl", True, 15), ("sd21", "aspl", True, 16), ("sd15", "aspl-lora", True, 9),
    ("sd15", "dreambooth", True, 15), ("sd15", "cdl-dreambooth", True, 15),
    ("sd15", "dreambooth-lora", True, 7), ("sd15", "sample", False, 8),
    ("sd21", "aspl-lora", True, 9), ("sd21", "cdl-dreambooth", True, 15),
    ("sd21", "dreambooth", True, 15), ("sd21", "dreambooth-lora", True, 7),
    ("sd21", "sample", False, 8),
]  # fmt: skip


@pytest.mark.parametrize("kind,work,low,bar", BARS)
def test_bars(kind, work, low, bar):
    assert need(kind, work, low).device <= bar * GB


def test_low_memory_never_needs_more_of_the_device():
    both = [(kind, work) for kind, work, low in COUNTED if low and (kind, work, False) in COUNTED]
    assert both
    for kind, work in both:
        assert need(kind, work, True).device < need(kind, work, False).device


def test_full_fine_tuning_by_hand():
    """ASPL with low_memory: one model of float32 weights and gradients, and the VAE."""
    estimate = need("sd15", "aspl", True)
    trained = 4 * (859_520_964 + 123_060_480)
    assert (estimate.copies, estimate.gradients, estimate.states) == (trained, trained, 0)
    assert estimate.weights == 4 * 83_653_863
    assert estimate.host == 4 * trained  # base, surrogate, two moments


def test_a_shape_is_told_by_its_prompts_and_its_size():
    assert [kinds_of(width, 512) for width in (768, 1024, 2048)] == [["sd15"], ["sd21"], []]
    assert [kinds_of(width, 768) for width in (768, 1024, None)] == [[], ["sd21-768"], ["sd21-768"]]
    assert kinds_of(None, 512) == ["sd15", "sd21"] and kinds_of(1024, 64) == []


def test_the_table_says_what_fits():
    lines = table("sd15", card=16 * GB)
    assert "neither measured on a card" in lines[0]
    assert any("ASPL, low" in line and line.endswith("  fits") for line in lines)
    assert not any(line.endswith("fits") for line in table("sd15"))
    assert any(line.endswith("does not fit") for line in table("sd15", card=3 * GB))


@pytest.fixture
def write_profile(tmp_path, monkeypatch):
    """Writes a profile around a folder that says how wide its prompts are, and nothing else."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    def write(width, resolution):
        folder = tmp_path / "model"
        (folder / "unet").mkdir(parents=True, exist_ok=True)
        (folder / "model_index.json").write_text("{}")
        (folder / "unet" / "config.json").write_text(json.dumps({"cross_attention_dim": width}))
        about = yaml.safe_load((PROFILES / "sd15.yaml").read_text())
        about |= {"name": "mine", "resolution": resolution}
        about["diffusion"] = {"id": str(folder), "loader": "stable-diffusion"}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(about))
        return str(tmp_path / "mine.yaml")

    return write


def doctor(*words):
    return CliRunner().invoke(app, ["doctor", *words])


@pytest.mark.parametrize(("kind", "side"), [("sd15", 512), ("sd21", 512), ("sd21-768", 768)])
def test_doctor_prints_the_profiles_own_shape_and_size(kind, side, write_profile):
    done = doctor("--profile", write_profile(SHAPES[kind].width, side), "--memory")
    assert done.exit_code == 0, done.output
    heads = [line for line in done.output.splitlines() if "bfloat16 arithmetic" in line]
    assert len(heads) == 1 and heads[0].startswith(f"{SHAPES[kind].name} at {side} pixels")
    parts = done.output.split("ASPL, low", 1)[1].split()
    assert float(parts[6]) == round(need(kind, "aspl", True).device / GB, 1)


def test_doctor_says_what_was_not_counted(write_profile):
    done = doctor("--profile", write_profile(768, 768), "--memory")
    assert "counted for Stable Diffusion 1.5 at 512 pixels" in done.output
    assert "counted for" in doctor("--profile", "mini", "--memory").output
    assert "counted for" not in doctor("--profile", "mini").output


def test_the_arithmetic_loads_no_torch():
    code = "import sys, shortcut_nb.machine.memory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# A full count takes about a minute; these two run every part: an attack's and a trainer's.
@pytest.mark.slow
@pytest.mark.parametrize("work", ["advdm", "aspl"])
def test_what_passes_need_is_counted_again(work):
    """In a process of its own: fake tensors leave traces in caches."""
    code = f"from tests.fake_memory import count; print(count('sd15', {work!r}, True)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) == pytest.approx(need("sd15", work, True).device, rel=0.02)


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_small_on_a_cpu(tmp_path):
    """Every row is measured, but for peaks, which a CPU does not have."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_memory", "--small"],
        cwd=ROOT,
        env=os.environ | {"OUT": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "gpu_memory.json").read_text())["rows"]
    assert [row for row in rows if "problem" in row] == []
    works = {"AdvDM", "ASPL, low", "MetaCloak, low", "CDL, low", "LoRA, low", "16 samples, 1 step"}
    works |= {*PURIFIERS, *NETWORK_PURIFIERS}
    for kind in ("sd15", "sd21"):
        assert works <= {row["work"] for row in rows if row["shape"] == kind}
    assert "of_its_floor" in rows[0] and rows[0]["peak_bytes"] is None
    assert "at small width" in (tmp_path / "gpu_memory.md").read_text()
