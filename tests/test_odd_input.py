"""What people really give: phones' photos, odd names, values at the edge; each told at the door."""

import io
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageCms

from shortcut_nb.attacks import build as build_attack
from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.cli.params import parse_params, read_value
from shortcut_nb.errors import UserError, WrongType
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import fits
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.files import expand
from shortcut_nb.files.pictures import list_folder
from shortcut_nb.files.yaml_files import read_mapping
from shortcut_nb.images import open_rgb, to_batch
from shortcut_nb.models import device_of
from shortcut_nb.models.class_pictures import ClassPictures
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.photos.tiles import in_tiles
from shortcut_nb.profile import PROFILES, load_profile
from shortcut_nb.purify import build
from shortcut_nb.registry.details import details
from shortcut_nb.reporting.report_page import Page, write_page
from shortcut_nb.templates import fill
from shortcut_nb.weights.sizes import side_of

COLOUR = (200, 60, 40)


def photo(size=(16, 16), colour=COLOUR):
    return Image.new("RGB", size, colour)


def test_an_empty_caption_is_refused_and_no_other_models_name():
    with pytest.raises(ValueError, match="blank"):
        Cell(instance="")
    with pytest.raises(ValueError, match="blank"):
        Cell(instance="  ")


@pytest.mark.parametrize(
    "fields", [{"steps": 2000}, {"guidance_scale": 1e30}, {"steps": 0}, {"guidance_scale": -1}]
)
def test_a_sheet_asks_for_what_can_be_sampled(fields):
    with pytest.raises(ValueError, match="steps|guidance_scale"):
        Sheet(**fields)


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (TRAINERS["dreambooth"], {"prior_steps": 1001}),
        (TRAINERS["dreambooth"], {"lr_scheduler": "polynomial", "lr": 1e-8}),
        (TRAINERS["dreambooth-lora"], {"rank": 100_000}),
        (lambda **fields: build_attack("aspl", eps="8/255", **fields), {"prior_steps": 2000}),
        (
            lambda **fields: build_attack("photoguard-diffusion", eps="8/255", **fields),
            {"sampling_steps": 5000},
        ),
        (lambda **fields: build("sr", **fields), {"steps": 1001}),
        (lambda **fields: build("sr", **fields), {"noise_level": 999}),
        (lambda **fields: build("pdmpure", **fields), {"upscale_steps": 1001}),
        (lambda **fields: build("median", **fields), {"size": 1001}),
    ],
)
def test_what_a_sampler_or_a_machine_cannot_do_is_refused_before_any_work(make, fields):
    with pytest.raises(UserError, match=list(fields)[-1]):
        make(**fields)


def test_an_axis_is_not_called_like_a_column_of_every_frame():
    for name in ("subject", "quality", "condition", "apart"):
        with pytest.raises(ValueError, match=f"{name}.*name it otherwise"):
            Experiment(name="own", axes={name: {"a": {}, "b": {"purifier": "jpeg"}}})


def test_cells_whose_names_coincide_are_refused():
    axes = {
        "x": {"a | b": {}, "a": {"purifier": "jpeg"}},
        "y": {"c": {}, "b | c": {"pictures": 2}},
    }
    with pytest.raises(ValueError, match=r"two cells would be called 'a \| b \| c'"):
        Experiment(name="own", axes=axes)


def test_a_star_alone_stands_for_any_text():
    assert fits("a*[x]", "a*[x]") and fits("clean | 1", "clean*")
    assert not fits("ab", "a?") and not fits("ax", "a[x]")


def test_a_column_without_any_value_is_read_back_as_numbers(tmp_path):
    rows = [
        {"condition": name, "subject": "s", "seed": 0, "sheet": "instance", "quality": 0.5}
        | {"ims": math.nan, "attack": name}
        for name in ("a", "b")
    ]
    Measurement.of("own", pd.DataFrame(rows)).write(tmp_path)
    frame = Measurement.read("own", folder=tmp_path).frame
    assert frame["ims"].dtype == float and frame["ims"].isna().all()
    assert frame["attack"].tolist() == ["a", "b"]


def test_a_profiles_name_leads_to_no_other_folder():
    content = load_profile("mini").model_dump()
    for name in ("../../evil", "", "a/b"):
        with pytest.raises(ValueError, match="name"):
            type(load_profile("mini")).model_validate(content | {"name": name})


def test_an_experiment_given_as_a_profile_is_called_one(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nquestion: does it?\naxes: {attack: [aspl]}\n")
    with pytest.raises(UserError, match="is an experiment, not a profile: give it to"):
        load_profile(str(path))


def test_a_profile_of_a_file_can_be_shown(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text((PROFILES / "mini.yaml").read_text("utf-8"), "utf-8")
    assert details("profiles", str(path))["source"] == str(path)
    assert details("profiles", "mini")["source"] == "shortcut_nb/profiles/mini.yaml"


def test_a_name_that_is_not_utf_8_is_left_out_with_the_reason(tmp_path):
    photo().save(tmp_path / "fine.png")
    odd = bytes(tmp_path) + b"/x\xff.png"
    with open(odd, "wb") as stream:
        photo().save(stream, "PNG")
    listing = list_folder(tmp_path)
    assert listing.names == ["fine.png"]
    assert listing.left_out == {"x\\xff.png": "its name is not UTF-8: rename it"}
    listing.remarks().encode()


def test_colours_of_another_profile_become_those_of_srgb(tmp_path):
    lab_of = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = _wide_gamut()
    for name, profile in (("plain", None), ("srgb", srgb), ("wide", wide), ("wrong", lab_of)):
        photo().save(tmp_path / f"{name}.png", icc_profile=profile)
    colours = {
        path.stem: open_rgb(path).getpixel((0, 0)) for path in sorted(tmp_path.glob("*.png"))
    }
    assert colours["plain"] == colours["srgb"] == colours["wrong"] == COLOUR
    own = ImageCms.ImageCmsProfile(io.BytesIO(wide))
    expected = ImageCms.profileToProfile(photo(), own, ImageCms.createProfile("sRGB"))
    assert colours["wide"] == expected.getpixel((0, 0)) != COLOUR


def _wide_gamut():
    """An RGB profile with other primaries: sRGB's, with red and green exchanged in its tags."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.find(b"rXYZ"), profile.find(b"gXYZ")
    profile[red + 4 : red + 12], profile[green + 4 : green + 12] = (
        profile[green + 4 : green + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile).replace(b"s\0R\0G\0B", b"w\0i\0d\0e").replace(b"sRGB", b"wide")


def test_pictures_in_memory_are_read_as_their_files_are(tmp_path):
    grey = np.linspace(0, 65535, 16 * 20).reshape(16, 20).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey16.png")
    clear = Image.new("RGBA", (20, 16), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    turned = Image.new("RGB", (20, 16), COLOUR)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    for path in sorted(tmp_path.iterdir()):
        with Image.open(path) as opened:
            batch = to_batch([opened])
        pixels = np.asarray(open_rgb(path))
        assert (batch[0].permute(1, 2, 0).numpy() * 255).round().astype(int).tolist() == (
            pixels.astype(int).tolist()
        )
    view = np.asarray(turned)[..., ::-1]
    assert torch.equal(to_batch(view), to_batch(np.ascontiguousarray(view)))


def test_a_photo_that_is_too_large_is_told_so_and_a_large_one_is_quiet(
    tmp_path, monkeypatch, recwarn
):
    photo((30, 30)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert open_rgb(tmp_path / "large.png").size == (30, 30)
    list_folder(tmp_path)
    assert not [each for each in recwarn if "Bomb" in each.category.__name__]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(UserError, match="megapixels.*make it smaller"):
        open_rgb(tmp_path / "large.png")


@pytest.mark.parametrize("identifier", ["", " "])
def test_a_blank_identifier_is_refused(identifier):
    with pytest.raises(UserError, match="identifier is blank"):
        fill("a photo of {identifier} {class_name}", "person", identifier)
    assert fill("a photo of a {class_name}", "airplane") == "a photo of an airplane"


@pytest.mark.parametrize("text", ["2024-13-45", "2024-01-01", "0x", "12:61:99"])
def test_a_value_that_looks_like_a_date_is_text(text):
    assert read_value(text) == text


def test_a_date_in_a_file_is_text(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("steps: 2024-01-01\nrate: 1.0e-3\ncount: 3\n", "utf-8")
    assert read_mapping(path) == {"steps": "2024-01-01", "rate": 1e-3, "count": 3}


@pytest.mark.parametrize(
    ("spec", "params"),
    [("resize", {"factor": 5.0}), ("gaussian", {"sigma": 40.0}), ("median", {"size": 5})],
)
def test_a_filter_of_a_large_photo_has_no_seams(spec, params):
    purifier = build(spec, **params)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 410, 3), np.uint8)
    whole = in_tiles(pixels, purifier, margin=None)
    tiled = in_tiles(pixels, purifier, tile=128, margin=purifier.reach)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_a_chain_reaches_as_far_as_all_its_links():
    assert build("median+median").reach == 128 and build("jpeg+resize").reach is None


@pytest.mark.parametrize("device", ["mps", "meta", "xpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(UserError, match=r"device may be \['?cpu|device may be 'cpu'"):
        device_of(device)


def test_class_pictures_of_another_size_have_a_name_of_their_own(miniature):
    drawn = ClassPictures("a photo of a person", 4, 2, 1.0)
    plain = drawn.recipe(miniature)
    assert "side" not in plain.inputs and miniature.own_side == 64
    from shortcut_nb import Lab

    other = miniature.profile.model_copy(update={"resolution": 96})
    larger = drawn.recipe(Lab(other, device="cpu", autocast=torch.float32))
    assert larger.inputs["side"] == "96" and larger.key != plain.key


def test_a_single_file_does_not_say_which_side_it_was_trained_on(tmp_path):
    (tmp_path / "one.safetensors").write_bytes(b"")
    assert side_of(tmp_path / "one.safetensors") is None


def test_an_experiment_called_like_a_table_keeps_both(tmp_path):
    from shortcut_nb.reporting.tables import Table

    verdicts = pd.DataFrame({"verdict": ["confirmed"]})
    shown = Table("verdicts", "Verdicts", ("verdict",), (("confirmed",),), verdicts)
    page = Page("verdicts", "", (), [shown], [])
    write_page(page, tmp_path, pd.DataFrame({"condition": ["a"]}))
    assert "verdict" in (tmp_path / "data" / "verdicts.csv").read_text()
    assert "condition" in (tmp_path / "data" / "verdicts_measured.csv").read_text()


def test_pictures_that_want_a_gradient_are_taken_without_it():
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    for name in ("median", "gaussian", "jpeg"):
        assert not build(name)(x).requires_grad
    assert x.requires_grad


@pytest.mark.parametrize("text,words", [("1: 2\n", "keys must be text; got 1"),
                                        ("[" * 3000, "nested too deeply")])  # fmt: skip
def test_files_of_keys_that_cannot_be_read_say_so(tmp_path, text, words):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        read_mapping(tmp_path / "own.yaml")


def test_two_axes_cannot_set_one_field():
    axes = {"attack": ["none", "noise"], "how": {"plain": {}, "other": {"attack": "advdm"}}}
    with pytest.raises(ValueError, match="the axes attack and how both set attack"):
        Experiment(name="own", axes=axes, subjects=1, n=1).all_cells()


@pytest.mark.parametrize("name", ["name", "self", "spec", "models"])
def test_a_parameter_may_be_called_as_an_argument_and_is_still_unknown(lab, name):
    for open_it in (lambda **how: lab.attack("noise", **how),
                    lambda **how: lab.purifier("jpeg", **how),
                    lambda **how: lab.personalize("dreambooth", **how)):  # fmt: skip
        with pytest.raises(UserError, match=f"parameter '{name}'"):
            open_it(**{name: "x"})


def test_a_name_of_the_class_is_an_option_and_no_parameter():
    with pytest.raises(UserError, match="give --class-name"):
        parse_params(["class_name=dog"], ("class_name",))
    with pytest.raises(ValueError, match="the subject's own"):
        Cell(purifying={"class_name": "dog"})


@pytest.mark.parametrize("place", [None, 3])
def test_a_place_is_text_or_a_path(place):
    with pytest.raises(WrongType, match="must be text or a path"):
        expand(place)
