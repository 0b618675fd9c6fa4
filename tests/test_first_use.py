"""What a new user meets: names in capitals, pictures of another size, what a cell ends with."""

import re

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from typer.testing import CliRunner

from shortcut_nb import Lab
from shortcut_nb.budget import Budget
from shortcut_nb.cells import Cell
from shortcut_nb.cli import app
from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.errors import UserError
from shortcut_nb.files.yaml_files import read_mapping
from shortcut_nb.images import fitted, load_folder, save_folder
from shortcut_nb.machine.notices import announce
from shortcut_nb.photos import protect_photos, purify_photos
from shortcut_nb.profile import load_profile
from shortcut_nb.registry import nearest


@pytest.fixture(scope="module")
def lab():
    return Lab("mini")


@pytest.fixture(scope="module")
def subject(lab):
    return lab.subject("mini:held-out/3")


def listed(*words):
    done = CliRunner().invoke(app, ["list", *words])
    return done.exit_code, done.output


def test_pictures_of_another_size_are_scored_as_those_of_a_folder_are(lab, subject):
    columns = ["ims_missing", "face", "intact"]
    own = lab.score(subject.b, subject)[columns].mean()
    twice = F.interpolate(subject.b, (128, 128), mode="bicubic").clamp(0, 1)
    larger = lab.score(twice, subject)[columns].mean()
    assert (own - larger).abs().max() < 0.05
    assert own["face"] > 0.9


def test_pictures_in_memory_are_cut_as_files_are(tmp_path):
    wide = torch.rand(2, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    save_folder(wide, tmp_path / "wide")
    read, _ = load_folder(tmp_path / "wide", 32)
    assert torch.equal(fitted((wide * 255).round() / 255, 32), read)
    assert fitted(read, 32) is read


def test_a_folder_is_taken_wherever_pictures_are(lab, subject, tmp_path):
    save_folder(subject.b, tmp_path / "photos")
    folder = tmp_path / "photos"
    jpeg = lab.purifier("jpeg")
    assert torch.equal(jpeg(folder), jpeg(subject.b))
    assert lab.score(folder, subject, "quality").equals(lab.score(subject.b, subject, ["quality"]))
    with pytest.raises(UserError, match=r"list with .*lab\.pictures\(folder\)"):
        jpeg([folder / "000.png"])


def test_a_column_is_not_taken_for_a_metric(lab, subject):
    with pytest.raises(UserError, match="'ims' is a column of the metric 'identity'"):
        lab.score(subject.b, subject, "ims")
    code, output = listed("metrics", "ims")
    assert code and "column of the metric 'identity'" in output


@pytest.mark.parametrize(
    ("name", "known", "first"),
    [
        ("ASPL", ["simac", "t-aspl", "aspl"], "aspl"),
        ("JPEG", ["vae", "tvm", "jpeg"], "jpeg"),
        ("cdl", ["plain", "CDL"], "CDL"),
    ],
)
def test_capitals_do_not_hide_the_nearest_name(name, known, first):
    assert nearest(name, known).split(", ")[0] == first


def test_the_parameters_of_a_thing_say_what_the_profile_takes():
    _, output = listed("attacks", "aspl")
    (line,) = [line for line in output.splitlines() if line.strip().startswith("rounds =")]
    assert "rounds = 50" in line and "mini's 15" in line
    _, output = listed("attacks", "aspl", "--profile", "sd15")
    assert "mini's" not in output
    code, output = listed("purifiers", "jpeg+restorer")
    assert code and "one by one" in output


@pytest.mark.parametrize("words", [["metrics"], ["trainers", "dreambooth"], ["purifiers", "sr"]])
def test_no_marks_of_the_reference_reach_the_shell(words):
    _, output = listed(*words)
    assert output and not re.search(r":\w+:`|``", output)


@pytest.mark.parametrize("text", ["8/255", 8, " 8 / 255 "])
def test_a_budget_is_read_by_one_rule(text):
    assert str(Budget.parse(text)) == Cell(attack="aspl", eps=text).eps == "8/255"


@pytest.mark.parametrize("value", [0.06, "0.06", "8", "8/256"])
def test_a_budget_that_is_none_is_refused_with_what_to_write(value):
    with pytest.raises(ValueError, match="'8/255'"):
        Cell(attack="aspl", eps=value)


def test_the_profile_of_a_preset_is_what_fetch_takes(caplog):
    profile = load_profile("sd21:smoke")
    nowhere = profile.diffusion.model_copy(update={"id": "nobody/has-this"})
    announce(profile.model_copy(update={"diffusion": nowhere}))
    assert "`shortcut-nb fetch sd21` brings it" in caplog.text


def test_wrong_things_are_refused_by_what_was_wanted(lab, tmp_path):
    with pytest.raises(UserError, match=r"lab\.attack\(\"aspl\"\); got 'advdm'"):
        protect_photos(tmp_path, "advdm", lab)
    with pytest.raises(UserError, match=r"lab\.purifier\(\"restorer\"\); got 'jpeg'"):
        purify_photos(tmp_path, "jpeg", lab)
    with pytest.raises(UserError, match="got 131 x 97.*into a folder"):
        lab.attack("advdm")(Image.new("RGB", (97, 131)))
    with pytest.raises(UserError, match="each side of"):
        lab.purifier("jpeg+")
    with pytest.raises(UserError, match=r"no file 'model\.safetensors'"):
        open_pipeline("model.safetensors")
    with pytest.raises(UserError, match="an open pipeline has none"):
        Lab.from_pipeline(lab.diffusion.pipe).purifier("restorer")
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    with pytest.raises(UserError, match="is empty"):
        read_mapping(tmp_path / "empty.yaml")


def test_what_a_notebook_cell_ends_with_is_a_line(lab, subject):
    protected = lab.attack("noise")(subject)
    for thing in (subject, protected):
        assert "\n" not in repr(thing) and len(repr(thing)) < 120
    assert "4 pictures of 64 x 64, 16/255" in repr(protected)
