"""Pictures in and out: the door checks, and every kind of file."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from shortcut_nb.images import (
    check_images,
    contact_sheet,
    from_u8,
    load_folder,
    load_picture,
    save_folder,
    to_u8,
)


def batch(n=2, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator).float() / 255


def gradient(width=40, height=24):
    row = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(row, (height, width)).copy())


def test_good_pictures_pass_unchanged():
    x = batch()
    assert check_images(x) is x
    check_images(x + 5e-5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (batch()[0], r"x\[None\]"),
        (batch().permute(0, 2, 3, 1), "permute"),
        (batch()[:, :1], "3 channels"),
        (batch().double(), "float32"),
        (to_u8(batch()), "from_u8"),
        (batch() * 2 - 1, r"looks like \[-1, 1\]"),
        (batch() * 255, r"looks like \[0, 255\]"),
        (batch() * 1.2, "clamp"),
        (batch() / 0, "finite"),
        (batch() * float("nan"), "finite"),
        (batch(size=7), "at least 8"),
        (batch()[:0], "at least one"),
    ],
)
def test_bad_pictures_are_refused_with_advice(x, message):
    with pytest.raises(ValueError, match=message):
        check_images(x)


def test_other_things_are_refused():
    with pytest.raises(TypeError, match=r"torch\.Tensor"):
        check_images(batch().numpy())
    with pytest.raises(ValueError, match="faces must have 4 axes"):
        check_images(batch()[0], name="faces")


def test_grey_levels_survive_exactly():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_u8(from_u8(every)), every)
    with pytest.raises(ValueError, match="uint8"):
        from_u8(batch())


def test_folder_round_trip_is_exact_and_sorted(tmp_path):
    x = batch(3)
    save_folder(x, tmp_path, ["c.jpg", "a.png", "b"])
    back, names = load_folder(tmp_path, 16)
    assert names == ["a.png", "b.png", "c.png"]
    assert torch.equal(back, x[[1, 2, 0]])
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".png"] == []


def test_names_must_fit(tmp_path):
    with pytest.raises(ValueError, match="2 names"):
        save_folder(batch(), tmp_path, ["a"])
    with pytest.raises(ValueError, match="collide"):
        save_folder(batch(), tmp_path, ["a.png", "a.jpg"])


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "RGBA", "LA", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    picture = gradient()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    else:
        picture = picture.convert("RGB").convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    picture.save(path)
    x = load_picture(path, 16)
    assert check_images(x[None]).shape[2:] == (16, 16)
    assert x[0, 8, -1] - x[0, 8, 0] > 0.4  # dark on the left, light on the right


@pytest.mark.parametrize(
    ("top", "kind"), [(1, "tif"), (255, "tif"), (65535, "tif"), (65535, "png")]
)
def test_deep_pictures_keep_their_brightness(tmp_path, top, kind):
    """Floats in [0, 1] and beyond, and 16-bit PNG: the same picture as in 8 bits."""
    gradient(16, 16).save(tmp_path / "8.png")
    levels = np.asarray(gradient(16, 16)).astype(np.float32) / 255 * top
    Image.fromarray(levels.astype(np.uint16) if kind == "png" else levels).save(
        tmp_path / f"x.{kind}"
    )
    assert torch.equal(
        load_picture(tmp_path / f"x.{kind}", 16), load_picture(tmp_path / "8.png", 16)
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_floats_that_are_no_levels_are_refused(tmp_path, bad):
    levels = np.full((16, 16), 0.5, np.float32)
    levels[3, 3] = bad
    Image.fromarray(levels).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="negative or not finite"):
        load_picture(tmp_path / "x.tif", 16)


def test_a_mixed_folder_of_a_phone(tmp_path, caplog):
    """What the installed Pillow reads is read; everything left out is counted and named."""
    picture = gradient().convert("RGB")
    for name in ("a.jpg", "b.jfif", "c.avif", "d.webp"):
        picture.save(tmp_path / name, format="JPEG" if name == "b.jfif" else None)
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    frames[0].save(tmp_path / "e.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "clip.MOV").write_text("x")
    (tmp_path / ".hidden.txt").write_text("x")
    (tmp_path / "more").mkdir()
    with caplog.at_level("INFO", "shortcut_nb"):
        x, names = load_folder(tmp_path, 16)
    assert names == ["a.jpg", "b.jfif", "c.avif", "d.webp", "e.gif"]
    assert x[4, 0].min() == 1 and x[4, 1:].max() == 0  # the first frame is red
    (line,) = [record.getMessage() for record in caplog.records]
    for words in (
        "5 pictures", "left out 4", "link.jpg (a link that leads nowhere)", "more (a folder)",
        "notes.txt (not a picture)", "clip.MOV (a video)", "e.gif (first of 3 frames)",
    ):  # fmt: skip
        assert words in line
    assert "hidden" not in line


def test_heic_is_read_with_the_extra_and_named_without(tmp_path, monkeypatch, caplog):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(tmp_path / "a.heic")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.heic").read_bytes())  # as some phones do
    assert load_picture(tmp_path / "a.heic", 16)[0].mean() > 0.9
    gradient().save(tmp_path / "c.png")
    for kinds in (Image.EXTENSION, Image.OPEN):  # as if pillow-heif were not installed
        for name in [n for n in kinds if "hei" in n.lower()]:
            monkeypatch.delitem(kinds, name)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if "HEI" not in name])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match=r"b.jpg cannot be read yet \(HEIC: pip install"):
        load_folder(tmp_path, 16)
    (tmp_path / "b.jpg").unlink()
    with caplog.at_level("INFO", "shortcut_nb"):
        assert load_folder(tmp_path, 16)[1] == ["c.png"]
    assert "a.heic (HEIC: pip install 'shortcut-nb[heic]'" in caplog.text


def test_transparent_becomes_white_and_opaque_stays(tmp_path):
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 8, 16))
    picture.save(tmp_path / "x.png")
    x = load_picture(tmp_path / "x.png", 16)
    assert x[:, 8, 12].tolist() == [1, 1, 1] and x[:, 8, 3].tolist() == [1, 0, 0]


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    gradient(32, 32).convert("RGB").save(tmp_path / "x.jpg", exif=exif, quality=95)
    x = load_picture(tmp_path / "x.jpg", 32)
    assert x[0, -1, 16] - x[0, 0, 16] > 0.8 and abs(x[0, 16, -1] - x[0, 16, 0]) < 0.1


def test_crop_is_central_and_small_pictures_grow(tmp_path):
    wide = Image.new("RGB", (48, 16), "black")
    wide.paste("white", (16, 0, 32, 16))
    wide.save(tmp_path / "x.png")
    assert load_picture(tmp_path / "x.png", 16).min() == 1
    assert load_picture(tmp_path / "x.png", 64).shape == (3, 64, 64)


def test_broken_files_are_refused_by_name(tmp_path):
    gradient(200, 200).convert("RGB").save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, message in [
        ("cut.jpg", "cut short"),
        ("text.png", "not a picture"),
        ("dot.png", "1 x 1"),
        ("empty.png", "not a picture"),
    ]:
        with pytest.raises(ValueError, match=message) as found:
            load_picture(tmp_path / name, 16)
        assert name in str(found.value)
    with pytest.raises(ValueError, match="cut short"):
        load_folder(tmp_path, 16)


def test_missing_and_empty_folders_list_what_is_accepted(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FileNotFoundError, match=r"notes.txt \(not a picture\).*\.png, \.jpg"):
        load_folder(tmp_path, 16)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_folder(tmp_path / "nowhere", 16)
    with pytest.raises(FileNotFoundError, match="it is a file"):
        load_folder(tmp_path / "notes.txt", 16)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        load_picture(tmp_path / "nowhere.png", 16)


def test_contact_sheet_places_pictures_in_reading_order():
    x = torch.zeros(3, 3, 8, 8)
    x[2, 0] = 1
    sheet = np.asarray(contact_sheet(x, columns=2, gap=2))
    assert sheet.shape == (18, 18, 3)
    assert sheet[14, 4].tolist() == [255, 0, 0] and sheet[4, 14].tolist() == [0, 0, 0]
    assert sheet[9, 9].tolist() == [255, 255, 255]
    with pytest.raises(ValueError, match="at least 1"):
        contact_sheet(x, columns=0)
