"""The door of notebook 10: whose photos, and with whose consent."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from shortcut_nb.errors import UserError
from shortcut_nb.photo_folder import photo_folder
from shortcut_nb.photos import Photos


def test_without_photos_it_draws_somebody_who_does_not_exist(tmp_path):
    photos = Photos.open(photo_folder("", False, tmp_path))
    assert len(photos) == 4 and len({photo.size for photo in photos.photos}) == 4
    assert photos.remarks == ""
    assert photo_folder("", False, tmp_path) == tmp_path / "photos"  # again, over the first


@pytest.mark.parametrize("photos", ["a/folder", "upload"])
def test_photos_of_people_want_consent_first(tmp_path, photos):
    with pytest.raises(UserError, match="consent = True"):
        photo_folder(photos, False, tmp_path)
    assert not (tmp_path / "photos").exists()


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert photo_folder(str(tmp_path), True, tmp_path / "work") == tmp_path


def test_upload_is_colabs_and_replaces_earlier_files(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="works in Colab only"):
        photo_folder("upload", True, tmp_path)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    files = types.ModuleType("google.colab.files")
    monkeypatch.setitem(sys.modules, "google.colab.files", files)
    files.upload = lambda: {"a.png": content, "../b.png": content}
    assert Photos.open(photo_folder("upload", True, tmp_path / "w")).names == ["a.png", "b.png"]
    files.upload = lambda: {"c.png": content}
    assert Photos.open(photo_folder("upload", True, tmp_path / "w")).names == ["c.png"]
    files.upload = dict
    with pytest.raises(UserError, match="no file was uploaded"):
        photo_folder("upload", True, tmp_path / "w")
