"""What a machine lacks, said without opening a model: doctor, fetch, versions, light imports."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from diffusers import StableDiffusionPipeline
from PIL import Image
from typer.testing import CliRunner

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.cli import app
from shortcut_nb.lab import Lab
from shortcut_nb.machine import notices, versions
from shortcut_nb.machine.doctor import diagnose, lacks
from shortcut_nb.profile import PROFILES, load_profile
from shortcut_nb.registry.catalogue import attacks_without_models
from shortcut_nb.weights import PACKAGE, BadWeights
from shortcut_nb.weights.fetch import fetch
from tests.tiny_sd import save_pipeline, save_sdxl

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "diffusers", "transformers", "open_clip", "pandas", "numpy")


def call(*words):
    return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    home = tmp_path_factory.mktemp("pipelines")
    return {"sd": save_pipeline(home / "sd", "sd21"), "sdxl": save_sdxl(home / "sdxl")}


@pytest.fixture
def profile(pipelines, tmp_path):
    """Writes a profile whose text-to-image model is a copy of a pipeline."""

    def write(kind, damage=lambda folder: None):
        folder = tmp_path / "model"
        shutil.copytree(pipelines[kind], folder)
        damage(folder)
        content = yaml.safe_load((PROFILES / "mini.yaml").read_text())
        content |= {"name": "mine", "diffusion": {"id": str(folder), "loader": "stable-diffusion"}}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_whole_snapshot_lacks_nothing(kind, profile):
    assert lacks(profile(kind)) == {}


PARTS = {
    "sd": ["unet", "vae", "text_encoder", "tokenizer", "scheduler"],
    "sdxl": ["unet", "vae", "text_encoder", "text_encoder_2", "tokenizer_2", "scheduler"],
}


@pytest.mark.parametrize(("kind", "part"), [(k, p) for k, parts in PARTS.items() for p in parts])
def test_an_incomplete_snapshot_is_found_part_by_part(kind, part, profile):
    missing = lacks(profile(kind, lambda folder: shutil.rmtree(folder / part)))
    assert list(missing) == ["diffusion"] and f"{part} is missing" in missing["diffusion"]


@pytest.mark.parametrize(
    "name",
    [
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
        "text_encoder/model.safetensors", "text_encoder_2/config.json", "model_index.json",
        "text_encoder_2/model.safetensors",
    ],
)  # fmt: skip
def test_a_missing_file_is_found(name, profile):
    missing = lacks(profile("sdxl", lambda folder: (folder / name).unlink()))
    text = missing["diffusion"]
    assert str(Path(name).parent if "/" in name else name) in text and "\n" not in text


def test_doctor_names_it_and_loads_no_model_library(profile):
    path = profile("sd", lambda folder: (folder / "unet" / "config.json").unlink())
    report = json.loads(call("doctor", "--profile", str(path), "--json").output)
    assert (
        list(report["profiles"]) == ["mine"] and "unet" in report["profiles"]["mine"]["diffusion"]
    )
    shown = call("doctor", "--profile", str(path), "--profile", "mini").output
    assert "profile mine: lacks" in shown and "profile mini: ready" in shown
    assert call("doctor", "--profile", "none").exit_code == 2
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "shortcut_nb", "doctor", "--profile", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not imported(done.stderr) & {"diffusers", "transformers", "open_clip", "pandas"}


def imported(importtime):
    """The top-level packages that `python -X importtime` lists."""
    names = re.findall(r"^import time:.*\|\s+([\w.]+)$", importtime, re.MULTILINE)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    "code",
    [
        "import shortcut_nb",
        "from shortcut_nb.profile import load_profile; load_profile('sd15')",
        "from shortcut_nb import Lab; Lab('mini')",
        "from shortcut_nb.weights import checked",
        "import shortcut_nb.cli",
    ],
)
def test_light_things_load_nothing_heavy(code):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    assert not imported(done.stderr) & set(HEAVY)
    assert "shortcut_nb" in imported(done.stderr)


def test_offline_and_uncached_is_said_at_once(tmp_path):
    code = "from shortcut_nb import Lab\nLab('sd15')\n"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert time.monotonic() - started < 3
    (line,) = done.stderr.strip().splitlines()
    assert "sd15" in line and "shortcut-nb fetch sd15" in line


def test_fetch_checks_what_is_here():
    done = call("fetch", "mini")
    assert done.exit_code == 0, done.output
    assert "diffusion: 3 files with the right sha256" in done.output
    assert {model.role for model in fetch(load_profile("mini"))} == set(
        load_profile("mini").models()
    )


def test_fetch_without_a_network_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "shortcut_nb", "fetch", "sd15"], capture_output=True, text=True,
        env=os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 2
    *progress, line = done.stderr.strip().splitlines()
    assert progress == ["diffusion: stable-diffusion-v1-5/stable-diffusion-v1-5"]
    assert "could not be fetched" in line and "is kept" in line


def test_fetch_without_a_hub_says_so_soon_and_once(tmp_path):
    """The network is there, and nobody answers: no five noisy retries."""
    started = time.monotonic()
    env = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HTTPS_PROXY")}
    done = subprocess.run(
        [sys.executable, "-m", "shortcut_nb", "fetch", "sd15"], capture_output=True, text=True,
        env=env | {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 2 and time.monotonic() - started < 10
    assert len(done.stderr.strip().splitlines()) == 2 and "could not be fetched" in done.stderr


def test_fetch_takes_what_is_whole_in_the_cache_without_a_network(pipelines, profile, tmp_path):
    path = profile("sd")
    home = tmp_path / "hub" / "models--someone--a-model"
    shutil.move(tmp_path / "model", home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    content = yaml.safe_load(path.read_text())
    content["diffusion"]["id"] = "someone/a-model"
    path.write_text(yaml.safe_dump(content))
    env = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-m", "shortcut_nb", "fetch", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 0 and "diffusion: whole" in done.stdout
    (home / "snapshots" / ("a" * 40) / "unet" / "config.json").unlink()
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 2 and "could not be fetched" in done.stderr


@pytest.mark.parametrize(
    "words", [("protect", "--attack", "advdm"), ("personalize", "--trainer", "dreambooth")]
)
def test_commands_say_at_once_that_the_model_is_not_here(words, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(4):
        Image.new("RGB", (64, 64), (i * 60, 0, 0)).save(tmp_path / "photos" / f"{i}.png")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "shortcut_nb", words[0], str(tmp_path / "photos"),
         str(tmp_path / "out"), *words[1:], "--profile", "sd15"],
        capture_output=True, text=True,
        env=os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 2 and "hf download" in done.stderr
    assert time.monotonic() - started < 3


def test_attacks_that_open_no_model_are_known():
    lab = Lab("mini")
    without = {name for name, cls in ATTACKS.items() if cls().roles(lab) == ()}
    assert without == attacks_without_models() == {"noise", "noise-uniform"}


def test_a_lab_around_an_open_pipeline_says_nothing_of_missing_weights(pipelines, caplog):
    pipe = StableDiffusionPipeline.from_pretrained(pipelines["sd"])
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        lab = Lab.from_pipeline(pipe)
    assert "machine" not in caplog.text and lab.diffusion.pipe.unet is pipe.unet
    lab.look_at("diffusion")


def test_fetch_says_when_what_is_here_is_wrong(profile):
    path = profile("sd", lambda folder: (folder / "sha256.json").write_text(
        json.dumps({"unet/diffusion_pytorch_model.safetensors": "0" * 64})
    ))  # fmt: skip
    with pytest.raises(BadWeights, match="expected sha256 000"):
        fetch(load_profile(path))
    done = call("fetch", str(path))
    assert done.exit_code == 2 and "expected sha256" in done.stderr


def test_tested_versions_are_those_of_the_two_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lows = dict(line.split(">=") for line in project["dependencies"])
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    for name, (low, high) in versions.TESTED.items():
        assert (lows[name], pins[name]) == (low, high), name


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.36.0", True), ("0.36", True), ("0.35.2", False), ("0.42.1", True), ("0.42.9", True),
        ("0.42.1+cpu", True), ("0.43.0", False), ("1.0", False), ("strange", False), (None, True),
    ],
)  # fmt: skip
def test_which_versions_count_as_tested(version, expected, monkeypatch):
    monkeypatch.setitem(versions.TESTED, "diffusers", ("0.36", "0.42.1"))
    assert versions.is_tested("diffusers", version) is expected
    assert versions.is_tested("unknown", "0.1")


def test_an_untested_version_is_said_once_by_lab_and_by_doctor(monkeypatch, caplog):
    monkeypatch.setattr(notices, "_GIVEN", set())
    monkeypatch.setitem(versions.TESTED, "diffusers", ("98.0", "99.0"))
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        Lab("mini")
        Lab("mini")
    assert caplog.text.count("not tested with diffusers") == 1 and "98.0 to 99.0" in caplog.text
    report = diagnose(["mini"])
    assert report["untested"] == {"diffusers": ["98.0", "99.0"]}
    assert "not tested: 98.0 to 99.0" in call("doctor", "--profile", "mini").output


def test_the_package_lies_where_it_says():
    assert (PACKAGE / "__init__.py").is_file() and PACKAGE.name == "shortcut_nb"
