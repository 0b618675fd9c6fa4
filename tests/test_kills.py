"""Commands that are killed with -9 at random moments: nothing lost, nothing half-written, resumes.

Commands run in processes that fork from one that has the libraries loaded, so that most of the
random moments fall into the work.
"""

import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from shortcut_nb.images import load_folder, save_folder

from .tiny_profile import save_profile

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(
    ["shortcut_nb.cli", "shortcut_nb.lab", "shortcut_nb.photos", "shortcut_nb.diffusion"]
)
KILLS = 6
STEPS = {"protect": 30, "personalize": 70}  # checkpoints are kept every 10 and 50


def command(words, store, log):
    """A command in this (forked) process; what it says goes to a file."""
    os.environ["SHORTCUT_NB_CACHE"] = str(store)
    os.environ["SHORTCUT_NB_HEADLESS"] = "1"
    with open(log, "a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    torch.set_num_threads(1)
    from shortcut_nb.cli import app

    app(list(map(str, words)))


class Killer:
    """Runs one command, whole or killed at a random moment."""

    def __init__(self, folder, words, seed):
        self.folder, self.words = folder, words
        self.random = random.Random(seed)
        self.log = folder / "log.txt"

    def start(self, out, store):
        words = [out if word is OUT else word for word in self.words]
        process = SPAWN.Process(target=command, args=(words, store, self.log))
        process.start()
        return process

    def whole(self, out, store):
        """Run to the end; the seconds it took."""
        started = time.monotonic()
        process = self.start(out, store)
        process.join(120)
        assert process.exitcode == 0, self.log.read_text()
        return time.monotonic() - started

    def killed(self, out, store, moment):
        """Kill after so many seconds; those that it took where it was done before."""
        started = time.monotonic()
        process = self.start(out, store)
        process.join(moment)
        alive = process.is_alive()
        if alive:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        return None if alive else time.monotonic() - started

    def moments(self):
        """KILLS random shares of a run, in random order: one in each of as many equal parts."""
        parts = self.random.sample(range(KILLS), KILLS)
        return [(part + self.random.random()) / KILLS for part in parts]

    def killed_at_work(self, out, store, share, seconds):
        """Kill after a share of the seconds that a run takes.

        Returns:
            The seconds: fewer where a run went on from what is kept and was done by then.
        """
        for _ in range(8):
            took = self.killed(out, store, share * seconds)
            if took is None:
                return seconds
            if out and out.exists():
                shutil.rmtree(out)
            seconds = 0.9 * min(seconds, took)
        raise AssertionError("no run was at work at its moment")


OUT = object()


def content(folder):
    """Every visible file below a folder, by content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".shortcut-nb-" not in str(path)
    }


def pictures_of(folder):
    return {name: data for name, data in content(folder).items() if not name.endswith(".json")}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save_folder(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), folder / "in")
    return folder, save_profile(folder / "profile")


def words_for(kind, tiny):
    folder, profile = tiny
    if kind == "protect":
        return ["protect", folder / "in", OUT, "--attack", "advdm", "-p", f"steps={STEPS[kind]}",
                "--profile", profile]  # fmt: skip
    return ["personalize", folder / "in", OUT, "--profile", profile, "-p", f"steps={STEPS[kind]}",
            "-p", "class_images=4", "-p", "lr=1e-5", "--samples", "3"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["protect", "personalize"])
def test_kill_9_of_a_command(kind, tiny, tmp_path):
    killer = Killer(tmp_path, words_for(kind, tiny), seed=len(kind))
    killer.whole(tmp_path / "warm", tmp_path / "store-warm")
    seconds = killer.whole(tmp_path / "want", tmp_path / "store-want")
    want = pictures_of(tmp_path / "want")
    out, store, source = tmp_path / "out", tmp_path / "store", content(tiny[0] / "in")
    for share in killer.moments():
        seconds = killer.killed_at_work(out, store, share, seconds)
        if out.exists():  # killed just after the rename: then it is all there
            assert pictures_of(out) == want
            shutil.rmtree(out)
    process = killer.start(out, store)  # and once where there is something to go on from
    wait_for_checkpoint(process, store)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    shutil.rmtree(out, ignore_errors=True)
    killer.log.write_text("")
    killer.whole(out, store)
    assert pictures_of(out) == want
    assert content(tiny[0] / "in") == source
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["log.txt", "out", "store", "store-warm", "store-want", "want", "warm"]
    )
    assert not [p for p in (store / "checkpoints").iterdir() if p.suffix != ".lock"]
    assert "resuming at " in killer.log.read_text()


def wait_for_checkpoint(process, store):
    deadline = time.monotonic() + 120
    while not list(store.glob("checkpoints/*.pt")):
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["protect", "personalize"])
def test_ctrl_c_of_a_command_is_one_line_and_goes_on(kind, tiny, tmp_path):
    killer = Killer(tmp_path, words_for(kind, tiny), seed=0)
    process = killer.start(tmp_path / "out", tmp_path / "store")
    wait_for_checkpoint(process, tmp_path / "store")
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    log = killer.log.read_text()
    assert process.exitcode == 130 and "Traceback" not in log, log
    assert "Loading weights" not in log  # the libraries own bars are quiet
    last = log.splitlines()[-1]
    match = re.fullmatch(r"interrupted: at (\d+) of (30|70); the same .* goes on from (\d+)", last)
    assert match and 0 < int(match[3]) <= int(match[1]), last
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".shortcut-nb-*"))
    killer.log.write_text("")
    killer.whole(tmp_path / "out", tmp_path / "store")
    assert f"resuming at {match[3]}:" in killer.log.read_text()
    assert "\nfinished: wrote " in killer.log.read_text()


@pytest.mark.slow
def test_kill_9_between_the_model_and_its_samples(tiny, tmp_path):
    """The model need not be trained again to have its samples."""
    killer = Killer(tmp_path, words_for("personalize", tiny), seed=0)
    killer.whole(tmp_path / "want", tmp_path / "store-want")
    process = killer.start(tmp_path / "out", tmp_path / "store")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".shortcut-nb-*/model")):  # saved, and samples not yet
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "out").exists() and list(tmp_path.glob(".shortcut-nb-*"))
    killer.log.write_text("")
    killer.whole(tmp_path / "out", tmp_path / "store")
    assert pictures_of(tmp_path / "out") == pictures_of(tmp_path / "want")
    assert "resuming at 70" in killer.log.read_text()
    assert not list(tmp_path.glob(".shortcut-nb-*"))


CELL = """
import os, time
from pathlib import Path
for i in range(5):
    time.sleep(0.1)
figures = Path(os.environ["SHORTCUT_NB_FIGURES"])
(figures / "dot.png").write_bytes(b"png" * 1000)
print("done", n)
"""


@pytest.mark.slow
def test_kill_9_of_a_notebook(tmp_path):
    parameters = new_code_cell("n: int = 3")
    parameters.metadata["tags"] = ["parameters"]
    notebook = new_notebook(cells=[parameters, new_code_cell(CELL)])
    notebook.metadata["shortcut_nb"] = {"figures": ["dot"]}
    path = tmp_path / "own" / "own.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook, path)
    before = path.read_bytes()
    killer = Killer(tmp_path, ["run", path], seed=3)
    folder = path.parent / "own-run"
    seconds = min(killer.whole(None, tmp_path / "store") for _ in range(2))  # the first is cold
    want = set(content(folder))
    for number, share in enumerate(killer.moments()):
        if number == KILLS // 2:
            shutil.rmtree(folder)  # the others are kills of a first run
        killer.killed_at_work(None, tmp_path / "store", share, seconds)
        if folder.exists():
            assert set(content(folder)) == want and whole(folder)
        assert path.read_bytes() == before
    killer.whole(None, tmp_path / "store")
    assert set(content(folder)) == want and whole(folder)
    assert sorted(p.name for p in path.parent.iterdir()) == ["own-run", "own.ipynb"]


def whole(folder):
    cells = nbformat.read(folder / "own.ipynb", as_version=4).cells
    return cells[-1].outputs[0].text == "done 3\n" and Path(
        folder / "figures" / "dot.png"
    ).read_bytes() == (b"png" * 1000)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_work_is_kept(tiny, tmp_path):
    """A limit on the size of files refuses the model, as a full disk does; later it is written."""
    killer = Killer(tmp_path, words_for("personalize", tiny), seed=0)
    process = SPAWN.Process(
        target=limited, args=([tmp_path / "out" if w is OUT else w for w in killer.words],
                              tmp_path / "store", killer.log)
    )  # fmt: skip
    process.start()
    process.join(120)
    log = killer.log.read_text()
    assert process.exitcode == 2 and "Traceback" not in log, log
    assert "cannot be written" in log.splitlines()[-1]
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".shortcut-nb-*"))
    killer.whole(tmp_path / "out", tmp_path / "store")
    assert len(load_folder(tmp_path / "out" / "samples", 64)[1]) == 3


def limited(words, store, log):
    """The command, where no file may be larger than 100 kB."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    command(words, store, log)
