"""The one writer: whole or not at all."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from shortcut_nb.errors import UserError
from shortcut_nb.files import writer as files


def test_a_file_is_written_whole(tmp_path):
    path = files.write_json(tmp_path / "deep" / "x.json", {"a": 1})
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    files.write_text(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError), files.writing(tmp_path / "x") as fresh:
        fresh.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file/x", "a file, not a folder"),
        ("x" * 300, "name is too long"),
        ("/proc/nowhere/x", "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path, place, words):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=words):
        files.write_text(tmp_path / place, "text")


@pytest.mark.parametrize("kind", ["bytes", "safetensors", "torch", "png"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, kind):
    """RLIMIT_FSIZE makes the system refuse as a full disk does."""
    code = f"""
import resource, signal, torch
from pathlib import Path
from safetensors.torch import save_file
from shortcut_nb.files import writer as files
from shortcut_nb.images import to_picture
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with files.writing(Path({str(tmp_path)!r}) / "x") as fresh:
        x = torch.rand(3, 64, 64)
        if {kind!r} == "bytes": fresh.write_bytes(b"x" * 9999)
        if {kind!r} == "safetensors": save_file({{"x": x}}, fresh)
        if {kind!r} == "torch": torch.save(x, fresh)
        if {kind!r} == "png": to_picture(x).save(fresh, format="PNG")
except files.CannotWrite as error:
    print(error)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot be written" in done.stdout and done.stdout.count("\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("I/O error (os error 122)"), True),
        (RuntimeError("I/O error (os error 13)"), False),
        (RuntimeError("write failed, code: 28"), True),
        (RuntimeError("[Errno 28] No space left on device"), True),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), True),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), True),
        (RuntimeError("enforce fail: strerror: No space left on device"), True),
        (RuntimeError("shapes differ: 28 and 27"), False),
    ],
)
def test_a_full_disk_is_known_however_a_library_says_it(error, full):
    assert files.is_full(error) == full
    deeper = ValueError("not kept")
    deeper.__cause__ = error
    assert files.is_full(deeper) == full


def test_what_a_killed_writer_left_is_removed_and_a_live_ones_is_kept(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = files.temporary(tmp_path)
    dead = tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    far = tmp_path / mine.name.replace(f"-{files._HOST}-", "-000000-")
    for path in (mine, far):
        path.write_text("")
    dead.mkdir()
    (dead / "x").write_text("")
    (tmp_path / ".own.tmp").write_text("")
    files.write_text(tmp_path / "new", "")
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, far.name, ".own.tmp", "new"}


@pytest.mark.parametrize("path", ["", "  ", "a\0b", "~no-such-user-here/x"])
def test_paths_that_mean_nothing_are_refused(path):
    with pytest.raises(UserError):
        files.expand(path)
