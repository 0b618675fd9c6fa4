"""The store: nothing half done, nothing done twice, nothing damaged handed out, nothing foreign
deleted."""

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from shortcut_nb import Lab
from shortcut_nb.cli import app
from shortcut_nb.cli.cache import parse_size
from shortcut_nb.diffusion import Diffusion
from shortcut_nb.errors import AlreadyThere
from shortcut_nb.files import write_json
from shortcut_nb.files.outputs import check_output
from shortcut_nb.mini.photos import write_photos
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.resuming.checkpointed_work import WorkCheckpoint, checkpointed_work
from shortcut_nb.resuming.kept_work import make_or_warn
from shortcut_nb.store import Recipe, Store, StoreError
from shortcut_nb.store.side_files import SideFile
from shortcut_nb.store.store import MANIFEST, Entry
from shortcut_nb.tuning.checkpoint import save_checkpoint

from .places import read_only

WRITER = """
import sys, time
from pathlib import Path
from shortcut_nb.store import Recipe, Store

root, seconds = sys.argv[1:]

def write(payload):
    payload.save_json("first", 1)
    with open(Path(root) / "made.log", "a") as log:
        log.write("x")
    time.sleep(float(seconds))
    payload.save_json("second", 2)

entry = Store(root).make(Recipe("slow", params={"a": 1}), write)
print(entry.fresh, entry.json("first"), entry.json("second"))
"""


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


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
    return Store(tmp_path / "store")


def recipe(n=1, stage="stage"):
    return Recipe(stage, params={"n": n})


def writer(root, seconds):
    root.mkdir(parents=True, exist_ok=True)
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


def command(store, *words):
    return CliRunner().invoke(
        app, ["cache", *map(str, words)], env={"SHORTCUT_NB_CACHE": str(store.root)}
    )


def test_what_was_written_comes_back_and_is_made_once(store):
    write = Counter()
    assert not store.has(recipe()) and store.get(recipe()) is None
    first = store.make(recipe(), write)
    second = store.make(recipe(), write)
    assert (write.runs, first.fresh, second.fresh) == (1, True, False) and store.has(recipe())
    expected = torch.linspace(0, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    assert torch.equal(second.images("pictures"), (expected * 255).round() / 255)
    assert torch.equal(second.tensors("latents")["z"], torch.arange(4.0))
    assert second.json("numbers") == {"loss": [0.5, 0.25]}
    assert first.manifest["files"] == second.manifest["files"]
    assert second.manifest["params"] == {"n": 1}
    with pytest.raises(FileNotFoundError, match="nothing"):
        second.images("nothing")


def test_a_stage_that_raises_leaves_nothing(store):
    def broken(payload):
        payload.save_json("first", 1)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        store.make(recipe(), broken)
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


def test_prune_sweeps_up_after_killed_writers(store):
    first = writer(store.root, 60)
    wait_for(store.root / "made.log")
    store.prune()
    assert len(list((store.root / "tmp").iterdir())) == 1  # it is being written
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    store.prune()
    assert list((store.root / "tmp").iterdir()) == []


def test_two_writers_at_once_make_it_once(store):
    both = [writer(store.root, 1), writer(store.root, 1)]
    first = sorted(each.communicate(timeout=60)[0].split()[0] for each in both)
    assert first == ["False", "True"]
    assert (store.root / "made.log").read_text() == "x"


DAMAGES = ["flip", "cut", "delete", "add", "no json", "list", "empty", "format", "renamed"]


def damage(store, entry, kind):
    path, manifest = entry.folder / "latents.safetensors", entry.folder / MANIFEST
    if kind == "flip":
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif kind == "delete":
        path.unlink()
    elif kind == "add":
        (entry.folder / "extra.json").write_text("{}")
    elif kind == "format":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    elif kind == "renamed":
        other = store.make(recipe(99), Counter())
        other.folder.rename(store.root / "aside")
        entry.folder.rename(other.folder)
        (store.root / "aside").rename(entry.folder)
    else:
        manifest.write_text({"no json": "{", "list": "[1]", "empty": ""}[kind])


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_noticed_said_and_mended(store, kind, caplog):
    write = Counter()
    entry = store.make(recipe(), write)
    damage(store, entry, kind)
    checked = command(store, "verify")
    assert checked.exit_code == 1 and str(entry.folder) in checked.output
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        again = store.make(recipe(), write)
    assert write.runs == 2 and again.fresh and "damaged" in caplog.text
    assert torch.equal(again.tensors("latents")["z"], torch.arange(4.0))
    assert not store.make(recipe(), write).fresh
    assert kind == "renamed" or command(store, "verify").exit_code == 0


def test_ls_and_prune_by_age(store):
    old, new = (store.make(recipe(n), Counter()) for n in (1, 2))
    os.utime(old.folder / MANIFEST, (0, 0))
    assert {e.key for e in store.ls()} == {old.key, new.key} and list(store.ls("other")) == []
    assert new.bytes > 0
    assert [e.key for e in store.prune(days=1)] == [old.key]
    assert [e.key for e in store.ls()] == [new.key]


def test_reading_counts_as_use(store):
    entry = store.make(recipe(), Counter())
    os.utime(entry.folder / MANIFEST, (0, 0))
    store.make(recipe(), Counter())
    assert store.prune(days=1) == []


def test_prune_to_a_size_takes_trainings_first_then_what_is_oldest(store):
    for age, (stage, n) in enumerate([("train", 1), ("sample", 1), ("sample", 2), ("train", 2)]):
        entry = store.make(recipe(n, stage), Counter())
        os.utime(entry.folder / MANIFEST, (1000 - age, 1000 - age))
    size = entry.bytes + 10
    gone = store.prune(keep=size)
    assert [(e.stage, e.manifest["params"]["n"]) for e in gone] == [
        ("train", 2),
        ("train", 1),
        ("sample", 2),
    ]
    assert command(store, "prune", "--keep", "1GB").output.startswith("deleted 0")
    assert command(store, "prune", "--keep", "0").output.startswith("deleted 1")


def test_prune_takes_nothing_where_all_fits_exactly(store):
    entries = [store.make(recipe(n), Counter()) for n in range(2)]
    whole = sum(entry.bytes for entry in entries)
    assert store.prune(keep=whole) == [] and len(store.prune(keep=whole - 1)) == 1


def test_what_was_made_is_not_made_again_because_it_could_not_be_kept(store):
    runs = []

    def save(out, value):
        raise StoreError("the disk is full")

    value = make_or_warn(store, recipe(), "it", lambda: runs.append(1) or 7, save, None)
    assert value == 7 and runs == [1]


def test_half_done_work_goes_on_from_the_last_checkpoint(tmp_path):
    for step, start in ((27, 20), (30, 30), (9, 0), (95, 95)):
        work = WorkCheckpoint(tmp_path / "state", 10, None, step, total=95)
        assert str(work) == f"at {step} of 95; the same command goes on from {start}"


def test_a_side_file_was_used_when_the_newest_of_its_parts_was(tmp_path):
    for name, age in (("old", 100), ("new", 900), ("middle", 500)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (age, age))
    parts = tuple(tmp_path / name for name in ("old", "new", "middle"))
    assert SideFile("work", tmp_path, parts).used == 900


def test_prune_looks_at_each_entry_once(store, monkeypatch):
    for n in range(6):
        store.make(recipe(n), Counter())
    counted, compared, real = [], [], Entry.bytes.fget
    monkeypatch.setattr(Entry, "bytes", property(lambda e: counted.append(e.key) or real(e)))
    monkeypatch.setattr(Entry, "__eq__", lambda *pair: compared.append(pair) or NotImplemented)
    os.utime(next(iter(store.ls())).folder / MANIFEST, (0, 0))
    assert len(store.prune(days=1, keep=0)) == 6
    assert len(counted) == len(set(counted)) == 5 and not compared


def half_done(kind, monkeypatch, store):
    """Work of a command, for whoever takes it on; interrupted when it is asked to go on."""
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(store.root))
    with checkpointed_work(kind, "a" * 64, kind, 10) as work:
        save_checkpoint(work.path, "mark", {"done": 10})
        yield work.path
        raise KeyboardInterrupt


def filled(store, monkeypatch):
    """A store with something of each kind beside one output; the files of it."""
    entry = store.make(recipe(), Counter())
    for kind in ("personalize", "protect"):
        with pytest.raises(KeyboardInterrupt):
            list(half_done(kind, monkeypatch, store))
    store.checkpoint(recipe(2)).write_bytes(b"state")
    store.checkpoint(recipe(2)).with_name(f"{recipe(2).key}.state.pool").write_bytes(b"pool")
    store.note_failure(recipe(3), {"error": "no"})
    write_photos(store.root / "your-photos" / "photos")
    with check_output(store.root / "runs" / "10", "run.json").filling() as fresh:
        (fresh / "figures").mkdir()
        (fresh / "figures" / "a.png").write_bytes(b"a picture")
        (fresh / "10.ipynb").write_text("{}")
        write_json(fresh / "run.json", {"files": ["10.ipynb", "figures"]})
    (store.root / "runs" / "10" / "10.stopped.ipynb").write_text("{}")
    return entry


def files_of(store):
    every = (path for path in store.root.rglob("*") if path.is_file())
    return sorted(path.relative_to(store.root).as_posix() for path in every)


def test_prune_by_age_leaves_nothing_of_a_person(store, monkeypatch):
    """docs/consent.md promises it."""
    filled(store, monkeypatch)
    listed = command(store, "ls").output
    for what, count in {
        "half-done work": 3,
        "note of a failure": 1,
        "run of a notebook": 1,
        "photos of notebook 10": 1,
    }.items():
        assert listed.count(what) == count, listed
    assert "; beside them " in listed.splitlines()[-1]
    done = command(store, "prune", "--days", "0")
    assert done.exit_code == 0 and "3 × half-done work, 1 × note of a failure" in done.output
    assert [name for name in files_of(store) if not name.endswith(".lock")] == []
    assert not (store.root / "runs" / "10").exists()
    assert command(store, "ls").output.startswith("0 outputs, 0.00 MB, in ")


def test_prune_by_age_leaves_what_is_young_foreign_or_at_work(store, monkeypatch):
    entry = filled(store, monkeypatch)
    before = files_of(store)
    for words in (["--days", "1"], ["--keep", "1GB"], ["--days", "0", "--stage", "other"]):
        command(store, "prune", *words)
        assert set(before) <= set(files_of(store)), words
    (store.root / "your-photos" / "photos" / "own.txt").write_text("own")
    (store.root / "runs" / "diary").mkdir()
    (store.root / "runs" / "diary" / "own.txt").write_text("own")
    (store.root / "checkpoints" / "own-notes.pt").write_text("own")
    at_work = half_done("protect", monkeypatch, store)
    path = next(at_work)
    command(store, "prune", "--days", "0")
    assert [name for name in files_of(store) if not name.endswith(".lock")] == [
        "checkpoints/own-notes.pt", path.relative_to(store.root).as_posix(),
        "runs/diary/own.txt", "your-photos/photos/own.txt",
    ]  # fmt: skip
    assert not entry.folder.exists()
    at_work.close()


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500e6), ("2 GB", 2e9), ("1.5g", 1.5e9), ("7B", 7), ("0", 0)]
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 apples", "5", " 20 ", "1.5"])
def test_other_sizes_are_refused_in_one_line(store, text):
    store.make(recipe(), Counter())
    done = command(store, "prune", f"--keep={text}")
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "reads like 500MB or 2GB" in done.stderr and len(list(store.ls())) == 1


FOREIGN = {
    "a manifest in a folder of its own": "notes/mine",
    "a name like a key in a stage's folder": f"stage/{'a' * 64}",
    "a key's folder in the locks": f"locks/{'b' * 64}",
}


@pytest.mark.parametrize("place", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("content", ["{}", '{"format": 1}', "not json", "entry"])
def test_foreign_folders_survive(store, place, content):
    entry = store.make(recipe(), Counter())
    folder = store.root / place
    folder.mkdir(parents=True)
    (folder / "diary.txt").write_text("mine")
    text = (entry.folder / MANIFEST).read_text() if content == "entry" else content
    (folder / MANIFEST).write_text(text)
    os.utime(folder / MANIFEST, (0, 0))
    assert [e.key for e in store.ls()] == [entry.key]
    assert [e.key for e in store.prune(days=0, keep=0)] == [entry.key]
    assert (folder / "diary.txt").read_text() == "mine"


def test_a_link_is_not_followed(store, tmp_path):
    entry = store.make(recipe(), Counter())
    aside = tmp_path / "aside"
    entry.folder.rename(aside)
    entry.folder.symlink_to(aside)
    assert store.prune(days=0, keep=0) == [] and (aside / MANIFEST).is_file()


@pytest.mark.parametrize("stage", ["../../Documents", "/etc", "*", "", "a/b", ".."])
@pytest.mark.parametrize("what", ["ls", "prune", "verify"])
def test_stage_names_cannot_leave_the_store(store, what, stage):
    done = command(store, what, f"--stage={stage}")
    assert done.exit_code == 2 and "plain name" in done.stderr and "Traceback" not in done.output
    with pytest.raises(ValueError, match="plain name"):
        Recipe(stage)


def test_names_of_parts_cannot_leave_the_folder(store):
    for name in ("../up", "a/b", "manifest", ""):
        with pytest.raises(ValueError):
            store.make(recipe(), lambda p, n=name: p.save_json(n, 1))


def test_a_store_on_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    store, write = Store(tmp_path / "file"), Counter()
    with pytest.raises(StoreError, match="cannot be written") as caught:
        store.make(recipe(), write)
    assert write.runs == 0 and "\n" not in str(caught.value)
    done = command(store, "ls")
    assert done.exit_code == 0 and "0 outputs" in done.output
    assert command(store, "prune").exit_code == 0
    assert (tmp_path / "file").read_text() == "mine"


def test_a_read_only_store_serves_what_it_has_and_refuses_before_the_work(store):
    write = Counter()
    store.make(recipe(), write)
    with read_only(store.root):
        assert store.make(recipe(), write).json("numbers") == {"loss": [0.5, 0.25]}
        with pytest.raises(StoreError, match="cannot be written .*SHORTCUT_NB_CACHE") as caught:
            store.make(recipe(2), write)
        assert "\n" not in str(caught.value) and write.runs == 1
        done = command(store, "prune", "--days", "0")
        assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1
    assert store.make(recipe(2), write).fresh


@pytest.mark.parametrize("writes", ["save_json", "save_tensors", "save_images"])
def test_a_full_disk_is_one_line_and_leaves_nothing(store, writes):
    """A limit on the size of files stands for the disk's."""
    big = {
        "save_json": list(range(100_000)),
        "save_tensors": {"x": torch.zeros(100_000)},
        "save_images": torch.rand(1, 3, 256, 256),
    }[writes]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        with pytest.raises(StoreError, match="is full") as caught:
            store.make(recipe(), lambda payload: getattr(payload, writes)("big", big))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert list((store.root / "tmp").iterdir()) == [] and list(store.ls()) == []
    assert store.make(recipe(), Counter()).fresh


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to mount")
def test_a_full_file_system_is_one_line_and_leaves_nothing(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)])
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = Store(place / "store")
        with pytest.raises(StoreError, match="is full"):
            store.make(recipe(), lambda p: p.save_tensors("big", {"x": torch.zeros(100_000)}))
        assert list((store.root / "tmp").iterdir()) == []
        assert store.make(recipe(), lambda p: p.save_json("small", 1)).fresh
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_export_is_a_store_of_its_own(store, tmp_path):
    whole, broken = (store.make(recipe(n), Counter()) for n in (1, 2))
    damage(store, broken, "flip")
    done = command(store, "export", tmp_path / "other")
    assert done.exit_code == 0 and "copied 1" in done.output
    other = Store(tmp_path / "other")
    assert [e.key for e in other.ls()] == [whole.key] and not other.make(recipe(), None).fresh
    assert command(store, "export", tmp_path / "other").output.strip().startswith("copied 0")
    (tmp_path / "file").write_text("mine")
    assert command(store, "export", tmp_path / "file").exit_code == 2
    damage(other, next(other.ls()), "flip")
    assert "copied 1" in command(store, "export", tmp_path / "other").output  # it heals
    assert [problem for _, problem in other.verify()] == [None]
    shutil.rmtree(other.root)


def test_export_overwrites_nothing_and_mixes_with_nothing_unasked(store, tmp_path):
    store.make(recipe(), Counter())
    (tmp_path / "mine" / "stage").mkdir(parents=True)
    for name in ("notes.txt", "stage/own.txt"):
        (tmp_path / "mine" / name).write_text("mine")
    done = command(store, "export", tmp_path / "mine")
    assert done.exit_code == 2 and "notes.txt" in done.stderr and "--force" in done.stderr
    with pytest.raises(AlreadyThere, match="or give force=True"):
        store.export(tmp_path / "mine")
    names = sorted(path.name for path in (tmp_path / "mine").rglob("*"))
    assert names == ["notes.txt", "own.txt", "stage"]
    assert "copied 1" in command(store, "export", tmp_path / "mine", "--force").output
    assert (tmp_path / "mine" / "stage" / "own.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "target", ["", " ", "store", "store/inside", "store/stage", "~no-such-user/x"]
)
def test_export_into_the_store_or_nowhere_is_refused(store, tmp_path, monkeypatch, target):
    store.make(recipe(), Counter())
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = command(store, "export", target)
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1, done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_room_is_looked_for_before_an_export(store, tmp_path, monkeypatch):
    store.make(recipe(), Counter())
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    done = command(store, "export", tmp_path / "other")
    assert done.exit_code == 2 and "the disk has 0.0 MB left" in done.stderr


@pytest.mark.parametrize("place", ["~no-such-user/x", "a\x01" + "b" * 300, " "])
def test_a_store_that_is_no_place_is_one_line(place):
    done = CliRunner().invoke(app, ["cache", "ls"], env={"SHORTCUT_NB_CACHE": place})
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1, done.output


LIGHT = """
import sys
from typer.testing import CliRunner
from shortcut_nb.cli import app
import shortcut_nb.store

assert CliRunner().invoke(app, ["cache", "ls"]).exit_code == 0
heavy = {"torch", "diffusers", "transformers", "numpy", "pandas"} & set(sys.modules)
print(sorted(heavy))
"""


def test_cache_commands_load_no_torch():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_class_pictures_are_kept_between_labs(lab, tmp_path, monkeypatch):
    """Another process need not draw them again, and gets the same bits."""
    cold, warm = (Lab(lab.profile, "cpu", torch.float32) for _ in range(2))
    store = Store(tmp_path)
    with Pipeline(cold, store).keeping():
        drawn = cold.prior_latents("a photo of a person", 2)
        bare = Lab(lab.profile, "cpu", torch.float32).prior_latents("a photo of a person", 2)
        assert torch.equal(drawn.mean, bare.mean) and not drawn.std.any()
        second = cold.ensemble["ensemble:0"]
        other = cold.prior_latents("a photo of a person", 2, second)
        assert not torch.equal(other.mean, drawn.mean)
    monkeypatch.setattr(Diffusion, "sample_latents", lambda *a, **k: pytest.fail("drawn again"))
    with Pipeline(warm, store).keeping():
        assert torch.equal(warm.prior_latents("a photo of a person", 2).mean, drawn.mean)
        kept = warm.prior_latents("a photo of a person", 2, warm.ensemble["ensemble:0"])
        assert torch.equal(kept.mean, other.mean)


def test_a_pipeline_lays_no_claim_to_the_lab_that_it_is_given(tiny_models, pair, tmp_path):
    """A training outside of all pipelines writes into the store of none."""
    lab = Lab(tiny_models, "cpu", torch.float32)
    stores = [Store(tmp_path / name) for name in "ab"]
    first, _ = (Pipeline(lab, store) for store in stores)
    lab.personalize("dreambooth", steps=1, class_images=2, batch_size=1).fit(pair)
    assert [list(store.ls()) for store in stores] == [[], []]
    with first.keeping():
        lab.prior_latents("a photo of a cat", 2)
    assert [len(list(store.ls())) for store in stores] == [1, 0]
