"""Photos at their own size: what the model sees, what comes back, and what memory that takes."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from shortcut_nb.budget import Budget
from shortcut_nb.cli import app
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.process_memory import peak_memory
from shortcut_nb.photos import Photo, Photos, carry, in_tiles, protect_photos, purify_photos
from shortcut_nb.photos.photo import covering

SIZES = {"wide": (201, 97), "tall": (80, 190), "square": (64, 64)}


def smooth(wide, high, seed=0):
    """A photo-like picture: large soft shapes with a little grain."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(30, 225, (6, 6, 3), dtype=np.uint8))
    array = np.asarray(small.resize((wide, high), Image.Resampling.BICUBIC)).astype(int)
    return (array + rng.integers(-6, 7, array.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for name, size in SIZES.items():
        Image.fromarray(smooth(*size)).save(place / f"{name}.png")
    return place


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.parametrize("size", [(64, 64), (201, 97), (97, 201), (400, 100), (101, 100)])
def test_squares_cover_every_pixel_and_stay_inside(size):
    wide, high = size
    covered = np.zeros((high, wide), bool)
    for left, top, edge in covering(wide, high):
        assert edge == min(size) and left + edge <= wide and top + edge <= high
        covered[top : top + edge, left : left + edge] = True
    assert covered.all()
    assert len(list(covering(wide, high))) == -(-max(size) // min(size))


def test_a_budget_holds_on_every_pixel_and_reaches_all_of_the_photo(folder, lab):
    attack = lab.attack("noise", eps="8/255")
    results = list(protect_photos(folder, attack, lab))
    for name, after in zip(sorted(SIZES), results, strict=True):
        before = pixels(folder / f"{name}.png")
        assert after.shape == before.shape and after.dtype == np.uint8
        change = np.abs(after.astype(int) - before)
        assert change.max() == 8
        for corner in (change[:12, :12], change[-12:, -12:], change[:12, -12:], change[-12:, :12]):
            assert corner.max() >= 4, name


def test_a_photo_of_the_models_size_gets_the_attacks_own_pixels(folder, lab):
    attack = lab.attack("noise", eps="8/255", seed=3)
    full = protect_photos(folder, attack, lab)
    number = full.photos.names.index("square.png")
    rows = full.photos.split(full.attack.images)[number]
    expected = (rows[0].permute(1, 2, 0) * 255).round().numpy()
    assert np.array_equal(list(full)[number], expected)


def test_the_model_sees_what_the_attack_made(tmp_path, lab):
    place = tmp_path / "in"
    place.mkdir()
    Image.fromarray(smooth(384, 256)).save(place / "a.png")
    full = protect_photos(place, lab.attack("noise", eps="16/255"), lab)
    full.save(tmp_path / "out")
    wanted = full.attack.images - full.attack.clean
    again = Photos.open(tmp_path / "out").seen(64) - full.attack.clean
    assert torch.corrcoef(torch.stack([wanted.flatten(), again.flatten()]))[0, 1] > 0.75


def test_no_change_changes_nothing_and_strips_do_not_show(folder):
    photo = Photo.open(folder / "wide.png")
    nothing = torch.zeros(len(photo.squares), 3, 64, 64)
    assert np.array_equal(carry(photo, nothing), pixels(folder / "wide.png"))
    change = torch.rand(len(photo.squares), 3, 64, 64) * 0.2 - 0.1
    whole = carry(photo, change, Budget.linf(12), strip=1000).astype(int)
    assert np.abs(carry(photo, change, Budget.linf(12), strip=7) - whole).max() <= 1
    with pytest.raises(ValueError, match="expected 3 changes"):
        carry(photo, change[:1])


def test_budgets_hold_at_black_and_white(tmp_path):
    array = np.zeros((70, 100, 3), np.uint8)
    array[:, 50:] = 255
    Image.fromarray(array).save(tmp_path / "a.png")
    photo = Photo.open(tmp_path / "a.png")
    after = carry(photo, torch.ones(2, 3, 64, 64), Budget.linf(5))
    assert set(np.unique(after)) == {5, 255}


def test_exif_orientation_is_applied_and_exif_left_out(tmp_path, lab):
    place = tmp_path / "in"
    place.mkdir()
    array = smooth(120, 80)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    exif[0x010F] = "a maker"
    Image.fromarray(array).save(place / "a.png", exif=exif)
    protect_photos(place, lab.attack("noise", eps="4/255"), lab).save(tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as opened:
        assert opened.size == (80, 120) and not opened.getexif()
    turned = np.rot90(array.astype(int), -1)
    assert np.abs(pixels(tmp_path / "out" / "a.png") - turned).max() == 4


def test_a_filter_works_on_the_photos_own_pixels(folder, lab):
    full = purify_photos(folder, lab.purifier("jpeg", quality=40), lab)
    jpeg = lab.purifier("jpeg", quality=40)
    for after, photo in zip(full, full.photos.photos, strict=True):
        array = torch.from_numpy(photo.pixels()).permute(2, 0, 1)[None].float() / 255
        assert np.array_equal(after, (jpeg(array)[0].permute(1, 2, 0) * 255).round().numpy())


@pytest.mark.parametrize("name", ["jpeg", "median", "gaussian", "quantise"])
def test_tiles_of_a_filter_do_not_show(lab, name):
    array = smooth(150, 130)
    purify = lab.purifier(name)
    whole = in_tiles(array, purify, tile=1024).astype(int)
    tiled = in_tiles(array, purify, tile=64, margin=32).astype(int)
    assert np.abs(tiled - whole).max() <= 1


def test_what_a_network_changed_is_carried_to_the_photo(folder, lab):
    full = purify_photos(folder, lab.purifier("restorer"), lab)
    square = lab.purifier("restorer")(Photo.open(folder / "square.png").seen(64))
    number = full.photos.names.index("square.png")
    expected = (square[0].permute(1, 2, 0) * 255).round().numpy()
    results = list(full)
    assert np.abs(results[number] - expected).max() <= 1
    assert [r.shape[1::-1] for r in results] == [SIZES[name] for name in sorted(SIZES)]


def test_a_large_photo_takes_bounded_memory(tmp_path, lab):
    place = tmp_path / "in"
    place.mkdir()
    Image.fromarray(smooth(4000, 3000)).save(place / "large.jpg", quality=90)
    attack = lab.attack("noise", eps="8/255")
    full = protect_photos(place, attack, lab)
    assert full.photos.describe(64) == (
        "1 photo (4000 x 3000), seen by the model as 2 squares of 64 x 64"
    )
    tracemalloc.start()
    (after,) = list(full)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    before = Photo.open(place / "large.jpg").pixels()
    assert after.shape == (3000, 4000, 3)
    assert max(int((after.astype(np.int16) - before).max()), 0) == 8
    assert peak < 4 * before.nbytes, f"{peak / 1e6:.0f} MB"


@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        "protect_photos({}, lab.attack('noise'), lab)",
        "purify_photos({}, lab.purifier('jpeg+restorer'), lab)",
    ],
)
def test_twelve_megapixels_take_few_megabytes_more_than_a_tenth_of_one(work, tmp_path):
    """What the process takes in all: networks, tensors and files."""
    taken = []
    for size in ((400, 300), (4000, 3000)):
        place = tmp_path / f"in-{size[0]}"
        place.mkdir()
        Image.fromarray(smooth(*size)).save(place / "a.jpg", quality=90)
        saved = f".save({str(tmp_path / f'out-{size[0]}')!r})"
        statement = "from shortcut_nb.photos import protect_photos, purify_photos\n"
        taken.append(peak_memory(statement + work.format(repr(str(place))) + saved))
    assert Image.open(tmp_path / "out-4000" / "a.png").size == (4000, 3000)
    assert taken[1] - taken[0] < 300  # MiB; the photo has 34, as float32 137


def call(*words):
    return CliRunner().invoke(app, list(words))


def test_the_commands_give_photos_back_whole_and_say_so(folder, tmp_path):
    words = [str(folder), str(tmp_path / "out"), "--attack", "noise", "--eps", "8/255"]
    done = call("protect", *words)
    assert done.exit_code == 0, done.output
    assert "3 photos (201 x 97, 80 x 190, 64 x 64)" in done.stderr and "--square" in done.stderr
    assert "seen by the model as 7 squares of 64 x 64" in done.stderr
    assert "at their own size" in done.stdout
    card = json.loads((tmp_path / "out" / "attack.json").read_text())
    assert card["files"] == ["square.png", "tall.png", "wide.png"]
    assert card["linf_pixels"] == [8, 8, 8]
    assert card["sizes"] == [[64, 64], [80, 190], [201, 97]]
    done = call("purify", str(tmp_path / "out"), str(tmp_path / "pure"), "--with", "jpeg+restorer")
    assert done.exit_code == 0, done.output
    for name, size in SIZES.items():
        with Image.open(tmp_path / "pure" / f"{name}.png") as opened:
            assert opened.size == size


def test_squares_are_there_for_the_asking(folder, tmp_path):
    words = ["--attack", "noise", "--eps", "8/255", "--square"]
    done = call("protect", str(folder), str(tmp_path / "out"), *words)
    assert done.exit_code == 0 and "3 protected squares" in done.stdout, done.output
    done = call("purify", str(folder), str(tmp_path / "pure"), "--square")
    assert done.exit_code == 0, done.output
    for name in SIZES:
        assert Image.open(tmp_path / "out" / f"{name}.png").size == (64, 64)
        assert Image.open(tmp_path / "pure" / f"{name}.png").size == (64, 64)


def test_set_b_is_what_is_given_back(tmp_path, lab):
    for number, name in enumerate(("set_A", "set_B", "set_C")):
        (tmp_path / "in" / name).mkdir(parents=True)
        Image.fromarray(smooth(100, 70, number)).save(tmp_path / "in" / name / f"{name}.png")
    full = protect_photos(tmp_path / "in", lab.attack("noise", eps="4/255"), lab)
    assert full.photos.names == ["set_B.png"] and len(full.attack.images) == 2


def test_small_photos_are_refused_in_one_line(tmp_path):
    Image.fromarray(smooth(30, 5)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="a.png is 30 x 5 pixels"):
        Photos.open(tmp_path)
