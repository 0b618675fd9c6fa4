"""`purify` keeps each picture that it finished; a run that was killed goes on from there."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from shortcut_nb.cli import app
from shortcut_nb.images import save_folder
from shortcut_nb.photos import Photos, purified
from shortcut_nb.photos.groups import GROUP, groups_of, purified_rows
from shortcut_nb.purify import BoundPurifier, Purifier
from shortcut_nb.purify.rows import row_generators

from .tiny_profile import save_profile

SEEN: list[int] = []


@dataclass(frozen=True)
class Grainy(Purifier):
    """A little grain, drawn for each picture; notes how many it was given."""

    grain: float = 0.1

    @property
    def roles(self):
        return ("diffusion",)

    def run(self, images, models, on_step):
        SEEN.append(len(images))
        drawn = [torch.randn(images.shape[1:], generator=g) for g in row_generators(7, len(images))]
        return (images + self.grain * torch.stack(drawn)).clamp(0, 1)


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


class Stop(Exception):
    """What stands for a kill."""


@pytest.fixture
def grainy(lab):
    SEEN.clear()
    return BoundPurifier(Grainy(), lab)


def stop_at(number):
    def on_picture(info):
        if info.step >= number:
            raise Stop

    return on_picture


def test_groups_hold_enough_and_leave_nothing_out():
    assert list(groups_of([1] * 20)) == [range(8), range(8, 16), range(16, 20)]
    assert list(groups_of([3, 9, 1, 1])) == [range(2), range(2, 4)]
    assert list(groups_of([])) == []


def test_squares_go_on_and_are_those_of_an_uninterrupted_run(grainy, tmp_path):
    images = torch.rand(20, 3, 16, 16)
    want = purified_rows(images, grainy)
    assert torch.equal(want, grainy(images))  # picture i draws from (seed, i) all the same
    SEEN.clear()
    with pytest.raises(Stop):
        purified_rows(images, grainy, keep=tmp_path, on_picture=stop_at(GROUP))
    assert SEEN == [8] and len(list(tmp_path.iterdir())) == 8
    assert torch.equal(purified_rows(images, grainy, keep=tmp_path), want)
    assert SEEN == [8, 8, 4]
    (tmp_path / "00017.safetensors").write_bytes(b"cut")
    assert torch.equal(purified_rows(images, grainy, keep=tmp_path), want)
    assert SEEN == [8, 8, 4, 4]  # only the damaged picture's group


def test_photos_go_on_and_are_those_of_an_uninterrupted_run(grainy, lab, tmp_path):
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):  # two squares each
        array = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(array).save(tmp_path / "in" / f"{number}.png")
    photos = Photos.open(tmp_path / "in")
    want = list(purified(photos, grainy, lab))
    SEEN.clear()
    (tmp_path / "half").mkdir()
    with pytest.raises(Stop):
        purified(photos, grainy, lab, keep=tmp_path / "kept").put(tmp_path / "half", stop_at(5))
    assert SEEN == [8, 8] and len(list((tmp_path / "kept").iterdir())) == 5
    after = list(purified(photos, grainy, lab, keep=tmp_path / "kept"))
    assert SEEN == [8, 8, 8, 4]  # photos 4 to 7 were not all there
    assert all(np.array_equal(*pair) for pair in zip(after, want, strict=True))


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return save_profile(tmp_path_factory.mktemp("profile"))


@pytest.mark.parametrize("square", [[], ["--square"]])
def test_the_command_goes_on_after_ctrl_c(profile, tmp_path, monkeypatch, caplog, square):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("SHORTCUT_NB_HEADLESS", "1")
    images = torch.rand(10, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    save_folder(images, tmp_path / "in")
    words = ["purify", str(tmp_path / "in"), "--profile", str(profile), "--with", "vae", *square]

    def call(out):
        return CliRunner().invoke(app, [*words[:2], str(tmp_path / out), *words[2:]])

    assert call("want").exit_code == 0
    with monkeypatch.context() as patched:
        from shortcut_nb.resuming import finished_pictures

        original = finished_pictures.FinishedPictures.on_picture

        def interrupted(self, info):
            original(self, info)
            if info.step >= 8:
                raise KeyboardInterrupt

        patched.setattr(finished_pictures.FinishedPictures, "on_picture", interrupted)
        done = call("out")
    assert done.exit_code == 130 and not (tmp_path / "out").exists()
    assert done.stderr.splitlines()[-1] == (
        "interrupted: at 8 of 10 pictures; the same command goes on from what is done"
    )
    with caplog.at_level("INFO", "shortcut_nb"):
        done = call("out")
    assert done.exit_code == 0, done.output
    assert "resuming at 8 of 10: an earlier run" in caplog.text
    names = [f"{number:03d}.png" for number in range(10)]
    assert json.loads((tmp_path / "out" / "purify.json").read_text())["files"] == names
    for name in names:
        left, right = ((tmp_path / folder / name).read_bytes() for folder in ("out", "want"))
        assert left == right
    assert not list((tmp_path / "store" / "checkpoints").glob("*.pt*"))
