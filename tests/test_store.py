"""The store: nothing half done, nothing done twice, nothing damaged handed out."""

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.budget import Budget
from shortcut_nb.diffusion import Diffusion
from shortcut_nb.experiments import keys
from shortcut_nb.experiments.stages import Stages
from shortcut_nb.experiments.store import MANIFEST, Store

WRITER = """
import sys, time
from pathlib import Path
from shortcut_nb.experiments.store import Store

root, seconds = sys.argv[1:]

def make(payload):
    payload.save_json("first", 1)
    with open(Path(root) / "made.log", "a") as log:
        log.write("x")
    time.sleep(float(seconds))
    payload.save_json("second", 2)

entry = Store(root).cached("slow", {"a": 1}, {}, make)
print(entry.fresh, entry.json("first"), entry.json("second"))
"""


class Counter:
    """A stage that counts how often it ran."""

    def __init__(self):
        self.runs = 0

    def __call__(self, payload):
        self.runs += 1
        payload.save_images("pictures", torch.linspace(0, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8))
        payload.save_tensors("latents", {"z": torch.arange(4.0)})
        payload.save_json("numbers", {"loss": [0.5, 0.25]})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def writer(root, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path, seconds=60):
    limit = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < limit, f"{path} did not appear"
        time.sleep(0.02)


def test_what_was_written_comes_back_and_is_made_once(store):
    make = Counter()
    first = store.cached("stage", {"steps": 3}, {}, make)
    second = store.cached("stage", {"steps": 3}, {}, make)
    assert (make.runs, first.fresh, second.fresh) == (1, True, False)
    expected = torch.linspace(0, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    assert torch.equal(second.images("pictures"), (expected * 255).round() / 255)
    assert torch.equal(second.tensors("latents")["z"], torch.arange(4.0))
    assert second.json("numbers") == {"loss": [0.5, 0.25]}
    assert first.digest == second.digest and second.manifest["params"] == {"steps": 3}
    with pytest.raises(FileNotFoundError, match="nothing"):
        second.images("nothing")


@pytest.mark.parametrize(
    "other",
    [
        {"stage": "other"},
        {"params": {"eps": Budget(9)}},
        {"inputs": {"x": torch.ones(3)}},
        {"inputs": {"y": torch.zeros(3)}},
        {"version": "2"},
    ],
)
def test_each_part_of_the_key_counts(store, other):
    make = Counter()
    asked = {"stage": "stage", "params": {"eps": Budget(8)}, "inputs": {"x": torch.zeros(3)}}
    store.cached(**asked, make=make)
    store.cached(**asked, make=make)
    assert make.runs == 1
    store.cached(**(asked | other), make=make)
    assert make.runs == 2


def test_a_stage_that_raises_leaves_nothing(store):
    def broken(payload):
        payload.save_json("first", 1)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        store.cached("stage", {}, {}, broken)
    assert list(store.ls()) == [] and list((store.root / "tmp").iterdir()) == []


def test_a_writer_killed_halfway_leaves_no_trace_in_the_result(store):
    first = writer(store.root, 60)
    wait_for(store.root / "made.log")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert list(store.ls()) == [] and len(list((store.root / "tmp").iterdir())) == 1
    second = writer(store.root, 0)
    assert second.communicate(timeout=60)[0].split() == ["True", "1", "2"]
    assert list((store.root / "tmp").iterdir()) == []


def test_two_writers_at_once_make_it_once(store):
    both = [writer(store.root, 1), writer(store.root, 1)]
    said = sorted(w.communicate(timeout=60)[0].split()[0] for w in both)
    assert said == ["False", "True"]
    assert (store.root / "made.log").read_text() == "x"


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "add", "manifest", "renamed"])
def test_damage_is_noticed_and_mended(store, damage, caplog):
    make = Counter()
    entry = store.cached("stage", {}, {}, make)
    path = entry.folder / "latents.safetensors"
    if damage == "flip":
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "delete":
        path.unlink()
    elif damage == "add":
        (entry.folder / "extra.json").write_text("{}")
    elif damage == "manifest":
        (entry.folder / MANIFEST).write_text("{")
    else:
        other = store.cached("stage", {"other": 1}, {}, Counter())
        other.folder.rename(store.root / "aside")
        entry.folder.rename(other.folder)
        (store.root / "aside").rename(entry.folder)
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        again = store.cached("stage", {}, {}, make)
    assert make.runs == 2 and again.fresh and "damaged" in caplog.text
    assert torch.equal(again.tensors("latents")["z"], torch.arange(4.0))
    assert not store.cached("stage", {}, {}, make).fresh


def test_ls_and_prune(store):
    old = store.cached("stage", {"n": 1}, {}, Counter())
    new = store.cached("stage", {"n": 2}, {}, Counter())
    os.utime(old.folder / MANIFEST, (0, 0))
    assert {e.key for e in store.ls()} == {old.key, new.key} and list(store.ls("other")) == []
    assert new.bytes > 0
    assert [e.key for e in store.prune(days=1)] == [old.key]
    assert [e.key for e in store.ls()] == [new.key]


def test_reading_counts_as_use(store):
    entry = store.cached("stage", {}, {}, Counter())
    os.utime(entry.folder / MANIFEST, (0, 0))
    store.cached("stage", {}, {}, Counter())
    assert store.prune(days=1) == []


def test_names_cannot_leave_the_folder(store):
    with pytest.raises(ValueError, match="plain stage name"):
        store.cached("../up", {}, {}, Counter())
    for name in ("../up", "a/b", "manifest", ""):
        with pytest.raises(ValueError, match="plain name"):
            store.cached("stage", {}, {}, lambda p, n=name: p.save_json(n, 1))


def test_a_field_added_later_keeps_old_names_at_its_default():
    @dataclass
    class Old:
        steps: int = 3

    @dataclass
    class New:
        steps: int = 3
        more: int = field(default=1, metadata={"omit": True})

    New.__name__ = "Old"
    assert keys.canonical(New()) == keys.canonical(Old())
    assert keys.canonical(New(more=2)) != keys.canonical(Old())


def test_keys_are_canonical():
    assert keys.canonical({"b": (1, 2), "a": Budget(8)}) == '{"a":"8/255","b":[1,2]}'
    with pytest.raises(ValueError, match="finite"):
        keys.canonical(float("nan"))
    for wrong in (torch.ones(1), {1: 2}, {1, 2}, print):
        with pytest.raises(TypeError, match="cache key"):
            keys.canonical(wrong)


def test_digests_follow_content_not_place(tmp_path):
    x = torch.rand(4, 4)
    assert keys.digest(x) == keys.digest(x.clone()) == keys.digest(x.t().contiguous().t())
    assert keys.digest(x) != keys.digest(x.reshape(2, 8)) != keys.digest(x.double())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("same")
    assert keys.digest(tmp_path / "a") == keys.digest(tmp_path / "b")
    (tmp_path / "b" / "f").write_text("other")
    assert keys.digest(tmp_path / "a") != keys.digest(tmp_path / "b")
    with pytest.raises(TypeError, match="expected text"):
        keys.digest(3)


def test_class_pictures_are_kept_between_labs(lab, tmp_path, monkeypatch):
    """Another process need not draw them again, and gets the same bits."""
    cold, warm = (Lab(lab.profile, "cpu", torch.float32) for _ in range(2))
    store = Store(tmp_path)
    Stages(cold, store), Stages(warm, store)
    drawn = cold.prior_latents("a photo of a person", 2)
    bare = Lab(lab.profile, "cpu", torch.float32).prior_latents("a photo of a person", 2)
    assert torch.equal(drawn.mean, bare.mean) and not drawn.std.any()
    second = cold.ensemble["ensemble:0"]
    other = cold.prior_latents("a photo of a person", 2, second)
    assert not torch.equal(other.mean, drawn.mean)
    monkeypatch.setattr(Diffusion, "sample_latents", lambda *a, **k: pytest.fail("drawn again"))
    assert torch.equal(warm.prior_latents("a photo of a person", 2).mean, drawn.mean)
    kept = warm.prior_latents("a photo of a person", 2, warm.ensemble["ensemble:0"])
    assert torch.equal(kept.mean, other.mean)
