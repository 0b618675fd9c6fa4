"""Same seed, same machine, same number of threads: same bits, also in another process."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from shortcut_nb.images import load_folder, save_folder

from .tiny_profile import save_profile

SHORT = {
    "advdm": ["steps=3"],
    "aspl": ["rounds=1", "pgd_steps=2", "clean_steps=1", "perturbed_steps=1", "class_images=2"],
}
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["shortcut_nb.cli", "shortcut_nb.photos", "shortcut_nb.diffusion"])


def protect(threads: int, store: Path, words: list[str]) -> None:
    """The command, in this process, with so many threads."""
    os.environ["SHORTCUT_NB_CACHE"] = str(store)
    os.environ["SHORTCUT_NB_HEADLESS"] = "1"
    torch.set_num_threads(threads)
    from shortcut_nb.cli import app

    app(["protect", *words])


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["advdm", "aspl"])
def test_bits_hold_for_a_number_of_threads(tmp_path, attack):
    profile = save_profile(tmp_path / "profile")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    save_folder(images, tmp_path / "in")
    params = [word for pair in SHORT[attack] for word in ("-p", pair)]
    counts = {}
    for number, threads in enumerate([1, 1, 2, 2]):
        out = tmp_path / f"out{number}"
        words = [tmp_path / "in", out, "--attack", attack, "--profile", profile, *params]
        store = tmp_path / f"store{number}"
        process = SERVER.Process(target=protect, args=(threads, store, list(map(str, words))))
        process.start()
        process.join(120)
        assert process.exitcode == 0
        made_with = json.loads((out / "attack.json").read_text())["made_with"]
        assert made_with == {"torch": torch.__version__, "threads": threads}
        counts.setdefault(threads, []).append(load_folder(out, 64)[0])
    for threads, (first, second) in counts.items():
        assert torch.equal(first, second), threads
    change = (counts[1][0] - counts[2][0]).abs()
    assert change.max() <= 2 * 16 / 255 + 1e-6  # whatever the threads, both are in the ball
    assert (counts[1][0] - images).abs().max() <= 16.5 / 255
