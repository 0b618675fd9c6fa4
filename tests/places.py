"""Places that cannot be written: read-only, another user's, too small."""

from __future__ import annotations

import gc
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Without rights for a user; mounted so for the superuser, who may write everywhere."""
    if os.getuid():
        folders = [folder, *(p for p in folder.rglob("*") if p.is_dir())]
        for each in folders:
            each.chmod(0o555)
        yield
        for each in folders:
            each.chmod(0o755)
        return
    _mount("--bind", str(folder), str(folder))
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own at a folder, which is made."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        gc.collect()  # a failed write of PyTorch's may leave its file open in a cycle
        subprocess.run(["umount", str(folder)], check=True)


def _mount(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], capture_output=True).returncode
    except FileNotFoundError:
        done = 1
    if done:
        pytest.skip("mounting is not allowed here")


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A temporary folder that every user can look into (pytest's own is its user's)."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def without_rights(work: Callable[[], str]) -> str:
    """What ``work`` says in a process that is not the superuser's: its rights are given up."""
    above = Path(__file__).resolve().parents
    if os.getuid() == 0 and not all(folder.stat().st_mode & 0o001 for folder in above):
        pytest.skip("the package lies where nobody else may read it")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        message = "it raised"
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            message = work()
        except BaseException as error:  # told to the parent
            message = repr(error)
        finally:
            os.write(writing, message.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        message = stream.read().decode()
    os.waitpid(child, 0)
    return message
