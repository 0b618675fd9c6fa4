"""The look of figures: told apart without colour vision, and without colour."""

import itertools

import matplotlib
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.plots import CONDITIONS, FAMILY_OF, LOOKS, looks, theme
from shortcut_nb.plots.palette import FAMILIES, PURIFIER_FAMILIES, SPARE, VERDICTS, WORDS

# Machado, Oliveira and Fernandes 2009, full deuteranopia, for linear RGB.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)


def palette(looks=LOOKS):
    codes = [look.color.lstrip("#") for look in looks]
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes])


def deuteranope(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ DEUTERANOPIA.T, 0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)


def closest(lab):
    return min(float(deltaE_ciede2000(a, b)) for a, b in itertools.combinations(lab, 2))


@pytest.mark.parametrize("those", [LOOKS, SPARE], ids=["conditions", "spare"])
def test_palette_is_told_apart_under_deuteranopia(those):
    seen = rgb2lab(deuteranope(palette(those))[None])[0]
    assert closest(seen) > 11
    assert those is SPARE or closest(seen[:4]) > 25
    red_green = np.array([[0.8, 0.3, 0.2], [0.5, 0.55, 0.15]])  # the check itself can fail
    assert closest(rgb2lab(deuteranope(red_green)[None])[0]) < 11


@pytest.mark.parametrize("those", [LOOKS, SPARE], ids=["conditions", "spare"])
def test_the_first_four_survive_grey_printing(those):
    lightness = np.sort(rgb2lab(palette(those)[None])[0][:4, 0])
    assert np.diff(lightness).min() > 11


def test_never_colour_alone():
    for part in ("color", "marker", "dash"):
        assert len({getattr(look, part) for look in LOOKS}) == len(LOOKS) == 8


def test_a_condition_looks_the_same_in_every_figure():
    alone = looks(["cdl"])["cdl"]
    mixed = looks(["mine", *CONDITIONS])
    assert mixed["cdl"] == alone and len(set(mixed.values())) == len(CONDITIONS) + 1
    with pytest.raises(ValueError, match="at most 8"):
        looks([str(i) for i in range(9)])


def test_families_and_verdicts_are_told_apart_in_every_way():
    for vocabulary in (FAMILIES, PURIFIER_FAMILIES, VERDICTS, WORDS):
        assert closest(rgb2lab(deuteranope(palette(vocabulary.values()))[None])[0]) > 11
        for part in ("color", "marker", "dash"):
            assert len({getattr(look, part) for look in vocabulary.values()}) == len(vocabulary)


def test_every_attack_has_a_family_with_a_look():
    assert set(ATTACKS) <= set(FAMILY_OF)
    assert set(FAMILY_OF.values()) == set(FAMILIES)


def test_names_keep_their_look_whatever_stands_beside_them():
    assert looks(["refuted", "confirmed"]) == {
        name: VERDICTS[name] for name in ("refuted", "confirmed")
    }
    assert looks(["both", "noise"]) == {
        "both": CONDITIONS["purified + cdl"],
        "noise": CONDITIONS["random noise"],
    }
    assert looks(["aspl", "clean", "clip-shift"]) == {
        "clean": CONDITIONS["clean"],
        "aspl": CONDITIONS["protected"],
        "clip-shift": FAMILIES["CLIP"],
    }
    kin = looks(["fsmg", "simac"])  # one family, so that the second takes another look
    assert kin["fsmg"] == FAMILIES["surrogates"] and kin["simac"].color != kin["fsmg"].color


def test_other_names_have_the_look_of_what_they_name():
    assert looks(["DreamBooth", "CDL"]) == {
        "DreamBooth": CONDITIONS["protected"],
        "CDL": CONDITIONS["cdl"],
    }
    assert looks(["V* samples", "class samples"]) == dict(
        zip(["V* samples", "class samples"], WORDS.values(), strict=True)
    )
    assert looks(["ASPL"])["ASPL"] == looks(["aspl"])["aspl"] == CONDITIONS["protected"]


def test_a_whole_edit_is_no_denoising_loss():
    assert FAMILY_OF["photoguard-diffusion"] == "whole edit"


def test_no_colour_means_two_things():
    """Whatever two figures compare: conditions, words, families, and names of no vocabulary."""
    conditions = {look.color for look in CONDITIONS.values()}
    words = {look.color for look in WORDS.values()}
    own = {name: look.color for name, look in FAMILIES.items() if name not in CONDITIONS}
    made_by = {"none": "protected", "restoration": "purified"}
    treated = {name: look.color for name, look in PURIFIER_FAMILIES.items() if name not in made_by}
    assert not conditions & {*own.values(), *treated.values()}
    assert not words & {*conditions, *own.values(), *treated.values()}
    assert not words & {look.color for look in SPARE}
    assert not set(own.values()) & set(treated.values())
    assert not conditions & {look.color for look in SPARE}
    for name, condition in made_by.items():
        assert PURIFIER_FAMILIES[name] == CONDITIONS[condition]
    assert looks(["something else"])["something else"].color not in conditions


def test_theme_leaves_nothing_behind():
    before = dict(matplotlib.rcParams)
    with theme():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert dict(matplotlib.rcParams) == before
