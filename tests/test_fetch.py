"""Fetching goes on where it was cut off, checks what came, and replaces nothing that is here."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from shortcut_nb.profile import PROFILES, load_profile
from shortcut_nb.weights import BadWeights
from shortcut_nb.weights.download import download
from shortcut_nb.weights.fetch import fetch
from tests.small_hub import COMMIT, small_hub
from tests.tiny_sd import save_pipeline

MB = 10**6


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A pipeline's folder, and a file of 32 MB beside it."""
    folder = save_pipeline(tmp_path_factory.mktemp("hub") / "pipe", "sd15")
    save_file({"a": torch.rand(8 * MB)}, folder / "large.safetensors")
    return folder


@pytest.fixture
def content():
    return torch.randint(0, 256, (25 * MB,), dtype=torch.uint8).numpy().tobytes()


@pytest.fixture
def served(content, tmp_path):
    """A hub of one file, and where that file is."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").write_bytes(content)
    with small_hub(tmp_path / "files") as hub:
        yield hub, f"{hub.address}/a.bin"


def test_a_file_goes_on_where_it_was_cut_off(served, content, tmp_path):
    hub, url = served
    place = tmp_path / "new" / "a.bin"
    place.parent.mkdir()
    place.with_name("a.bin.part").write_bytes(content[: 9 * MB])
    download(url, place, hashlib.sha256(content).hexdigest())
    assert place.read_bytes() == content
    assert hub.served == [("a.bin", 9 * MB, 16 * MB)]
    assert [path.name for path in place.parent.iterdir()] == ["a.bin"]


def test_what_arrived_whole_is_not_asked_for_again(served, content, tmp_path):
    hub, url = served
    (tmp_path / "b.bin.part").write_bytes(content)
    download(url, tmp_path / "b.bin", hashlib.sha256(content).hexdigest())
    assert (tmp_path / "b.bin").read_bytes() == content and hub.served == []


def test_a_wrong_digest_leaves_nothing_behind(served, tmp_path):
    _, url = served
    with pytest.raises(OSError, match="invalid hash: expected sha256 000"):
        download(url, tmp_path / "new" / "a.bin", "0" * 64)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("checked", [True, False])
def test_what_is_longer_than_the_file_is_begun_anew(checked, served, content, tmp_path):
    """What an earlier publication left, or what was cut off after its last byte."""
    hub, url = served
    (tmp_path / "b.bin.part").write_bytes(content[::-1] + b"more" * checked)
    sha256 = hashlib.sha256(content).hexdigest() if checked else None
    download(url, tmp_path / "b.bin", sha256)
    assert (tmp_path / "b.bin").read_bytes() == content
    assert hub.served == [("a.bin", 0, len(content))]


def test_two_that_want_a_file_bring_it_once(served, content, tmp_path):
    hub, url = served
    sha256 = hashlib.sha256(content).hexdigest()
    place = tmp_path / "new" / "a.bin"
    hub.stop_at = 9 * MB  # the first waits in the middle, with the line open
    threads = [threading.Thread(target=download, args=(url, place, sha256)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert hub.stopped.wait(60)
    time.sleep(0.5)
    assert hub.served == [("a.bin", 0, 9 * MB)]
    hub.stop_at = None
    hub.go_on.set()
    for thread in threads:
        thread.join(60)
    assert place.read_bytes() == content
    assert len(hub.served) == 2  # cut off, and the same again to its end; nothing for the second
    assert [path.name for path in place.parent.iterdir()] == ["a.bin"]


def write_profile(place, name):
    """The miniature's profile with another text-to-image model."""
    about = yaml.safe_load((PROFILES / "mini.yaml").read_text())
    about |= {"name": "mine", "diffusion": {"id": name, "loader": "stable-diffusion"}}
    (place / "mine.yaml").write_text(yaml.safe_dump(about))
    return place / "mine.yaml"


@pytest.fixture
def command(tmp_path):
    """``shortcut-nb fetch`` of a hub's model "a/b", with a cache of its own: words, and where."""
    words = [sys.executable, "-m", "shortcut_nb", "fetch", str(write_profile(tmp_path, "a/b"))]
    env = {k: v for k, v in os.environ.items() if not k.endswith("_OFFLINE")}
    return words, env | {"HF_HOME": str(tmp_path / "home")}


def test_fetch_that_was_killed_goes_on(pipeline, command, tmp_path):
    words, env = command
    with small_hub(pipeline) as hub:
        env |= {"HF_ENDPOINT": hub.address}
        hub.stop_at = 25 * MB
        first = subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL)
        assert hub.stopped.wait(120)
        (part,) = wait_for(tmp_path / "home", "*.part", 20 * MB)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept, hub.stop_at = part.stat().st_size, None
        hub.go_on.set()
        hub.served.clear()
        done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^diffusion: \d+ files? with the right sha256", done.stdout, re.MULTILINE)
    whole = (pipeline / "large.safetensors").read_bytes()
    assert ("large.safetensors", kept, len(whole) - kept) in hub.served and kept >= 20 * MB
    snapshot = tmp_path / "home" / "hub" / "models--a--b" / "snapshots" / COMMIT
    assert (snapshot / "large.safetensors").read_bytes() == whole
    assert (snapshot / "unet" / "config.json").is_file() and not part.exists()


def test_a_damaged_file_of_the_cache_is_named_and_can_be_fetched_anew(pipeline, command):
    words, env = command
    with small_hub(pipeline) as hub:
        env |= {"HF_ENDPOINT": hub.address}
        assert subprocess.run(words, env=env).returncode == 0
        (link,) = Path(env["HF_HOME"]).rglob("large.safetensors")
        blob = link.resolve()
        whole = blob.read_bytes()
        blob.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        done = subprocess.run(words, env=env, capture_output=True, text=True)
        assert done.returncode == 2 and f"Delete {blob} and fetch it again" in done.stderr
        assert blob.read_bytes() != whole  # nothing was replaced
        blob.unlink()
        assert subprocess.run(words, env=env).returncode == 0
    assert link.read_bytes() == whole


def wait_for(folder, pattern, size, seconds=60):
    """The files of a pattern, once they have a size."""
    for _ in range(10 * seconds):
        files = list(folder.rglob(pattern))
        if files and all(path.stat().st_size >= size for path in files):
            return files
        time.sleep(0.1)
    raise AssertionError(f"no {pattern} of {size} bytes below {folder}")


def test_fetch_replaces_nothing_that_is_here(pipeline, tmp_path):
    """A folder of one's own with a wrong file is named, and every byte of it stays."""
    folder = tmp_path / "model"
    shutil.copytree(pipeline, folder)
    wrong = {"unet/diffusion_pytorch_model.safetensors": "0" * 64}
    (folder / "sha256.json").write_text(json.dumps(wrong))
    profile = write_profile(tmp_path, str(folder))
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files_of(folder)}
    with pytest.raises(BadWeights, match="expected sha256 000"):
        fetch(load_profile(profile))
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files_of(folder)} == before


def files_of(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
