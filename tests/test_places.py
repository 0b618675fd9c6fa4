"""Commands told to write where they cannot: one line before the work, and nothing is left."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from shortcut_nb.cli import app
from shortcut_nb.resuming.checkpointed_work import checkpointed_work
from shortcut_nb.store import Recipe, Store

from .places import open_to_all, read_only, small_disk, without_rights

NOTEBOOK = (
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", '
    '"id": "a", "execution_count": null, "outputs": [], "metadata": {}, "source": "1"}]}'
)
COMMANDS = {
    "protect": ["protect", "IN", "OUT/o", "--attack", "noise", "--eps", "8/255"],
    "purify": ["purify", "IN", "OUT/o", "--with", "jpeg"],
    "personalize": ["personalize", "IN", "OUT/o", "-p", "steps=1"],
    "score": ["score", "IN", "--reference", "IN", "--out", "OUT/s.csv"],
    "bench": ["bench", "story", "--subjects", "1", "--out", "OUT/b.csv"],
    "report": ["report", "story", "--out", "OUT/r"],
    "run": ["run", "IN/n.ipynb", "--out", "OUT/r"],
    "export": ["cache", "export", "OUT/store"],
}


def noisy(folder, count, side):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        array = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / f"{number}.png")


@pytest.fixture
def place(monkeypatch):
    with open_to_all() as folder:
        noisy(folder / "in", 2, 16)
        (folder / "in" / "n.ipynb").write_text(NOTEBOOK)
        (folder / "locked").mkdir()
        (folder / "locked" / "own.txt").write_text("own")
        monkeypatch.setenv("SHORTCUT_NB_CACHE", str(folder / "store"))
        Store(folder / "store").make(Recipe("stage"), lambda out: out.save_json("a", 1))
        for path in (folder / "store").rglob("*"):
            path.chmod(0o755)
        yield folder


def words_of(command, place, out, source="in"):
    given = COMMANDS[command]
    return [word.replace("IN", str(place / source)).replace("OUT", str(out)) for word in given]


def said_by(words):
    done = CliRunner().invoke(app, words)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return f"{done.exit_code} {len(lines)} {done.stderr}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_read_only_disk_is_named(place, command):
    words = words_of(command, place, place / "locked")
    with read_only(place / "locked"):
        message = said_by(words)
    assert message.startswith("2 1 ") and ("read-only" in message.lower() or "denied" in message), (
        message
    )
    assert [p.name for p in (place / "locked").iterdir()] == ["own.txt"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_the_right_to_write_is_named(place, command):
    (place / "locked").chmod(0o555)
    words = words_of(command, place, place / "locked")
    said_by(words[:1] + ["--help"])  # whatever is imported late is here before rights are given up
    said_by(words_of(command, place, "/proc/no"))
    message = without_rights(lambda: said_by(words))
    assert message.startswith("2 1 ") and "denied" in message.lower(), message
    assert [p.name for p in (place / "locked").iterdir()] == ["own.txt"]


@pytest.mark.parametrize("command", ["protect", "purify", "personalize", "score"])
def test_photos_that_may_not_be_read_are_named(place, command):
    words = words_of(command, place, place / "out")
    said_by(words_of(command, place, "/proc/no"))
    (place / "in").chmod(0o000)
    try:
        said = without_rights(lambda: said_by(words))
    finally:
        (place / "in").chmod(0o755)
    assert said.startswith("2 1 ") and "denied" in said.lower(), said
    assert not (place / "out").exists()


@pytest.mark.parametrize("command", ["protect", "purify"])
@pytest.mark.parametrize("square", [[], ["--square"]])
def test_a_disk_that_will_be_too_small_is_foreseen(place, command, square):
    noisy(place / "many", 40, 100)
    words = words_of(command, place, place / "disk", "many")
    with small_disk(place / "disk", 64) as disk:
        message = said_by([*words, *square])
        assert message.startswith("2 1 ") and "the results take at least 0." in message, message
        assert list(disk.iterdir()) == []


def test_a_model_that_will_not_fit_is_foreseen(place):
    with small_disk(place / "disk", 1024) as disk:
        message = said_by(words_of("personalize", place, disk))
        assert message.startswith("2 ") and "the results take at least" in message, message
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("command", ["protect", "purify"])
def test_a_disk_that_fills_up_all_the_same_is_survived(place, command):
    """Noise takes more as PNG than what could be known before."""
    noisy(place / "one", 1, 200)
    words = words_of(command, place, place / "disk", "one")
    with small_disk(place / "disk", 64) as disk:
        (disk / "own.txt").write_text("own")
        message = said_by(words)
        assert message.startswith("2 ") and "the disk is full" in message.splitlines()[-1], message
        assert [p.name for p in disk.iterdir()] == ["own.txt"]
        assert (disk / "own.txt").read_text() == "own"


def test_a_store_that_cannot_be_written_or_is_too_small_costs_only_the_checkpoint(place, caplog):
    with read_only(place / "store"):
        done = CliRunner().invoke(app, words_of("purify", place, place / "out"))
    assert done.exit_code == 0, done.output
    assert "no checkpoint is kept" in caplog.text
    names = sorted(path.name for path in (place / "out" / "o").iterdir())
    assert names == ["0.png", "1.png", "purify.json"]
    caplog.clear()
    with checkpointed_work("protect", "a" * 64, "work", 1, needs=10**18) as work:
        assert work.path is None
    assert "and the disk has" in caplog.text
