"""Measured in sittings: rows are added, none is changed, other weights are refused."""

from dataclasses import replace

import pandas as pd
import pytest

from shortcut_nb import Lab
from shortcut_nb.cells import CLEAN, Cell
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.joining import check_joins, joined, made_with
from shortcut_nb.experiments.measured import Measurement


def measured(people, conditions=("clean", "aspl"), shift=0.0, **about):
    rows = [
        {"condition": name, "subject": f"p{who}", "seed": 0, "sheet": "instance", "image": image,
         "quality": who + len(name) + image + shift}
        for who in people for name in conditions for image in range(2)
    ]  # fmt: skip
    about = {"made_with": {"diffusion": "aa"}} | about
    return Measurement.of("question", pd.DataFrame(rows), **about)


def rows_of(one):
    return one.frame.set_index(["condition", "subject"])["quality"].to_dict()


def test_people_and_cells_are_added_and_what_was_there_stays():
    earlier, new = measured([0, 1]), measured([1, 2], ("aspl", "noise"), shift=100.0)
    both = joined(earlier, new)
    assert rows_of(both) == rows_of(new) | rows_of(earlier)
    assert list(both.frame["quality"].isna()) == [False] * len(both.frame)
    assert list(both.frame["subject"]) == ["p0", "p0", "p1", "p1", "p1", "p2", "p2"]
    assert both.coverage["subjects"] == ["p0", "p1", "p2"]


def test_a_new_measure_fills_the_rows_that_were_there():
    earlier = measured([0])
    new = measured([0, 1])
    new = replace(new, frame=new.frame.assign(texture=[1.0, 2.0, 3.0, 4.0]))
    both = joined(earlier, new).frame.set_index(["condition", "subject"])
    assert (
        both["texture"].to_dict()
        == new.frame.set_index(["condition", "subject"])["texture"].to_dict()
    )


def test_an_axis_that_is_new_reads_none_before():
    new = measured([1])
    new = replace(new, axes=("condition", "purifier"), frame=new.frame.assign(purifier="jpeg"))
    both = joined(measured([0]), new)
    assert set(zip(both.frame["subject"], both.frame["purifier"])) == {
        ("p0", "none"),
        ("p1", "jpeg"),
    }


def test_other_weights_and_other_sample_counts_are_refused():
    earlier = measured([0], made_with={"diffusion": "aa", "clip": "cc"})
    with pytest.raises(UserError, match="with another diffusion"):
        joined(earlier, measured([1], made_with={"diffusion": "bb"}))
    slower = {"defaults of aspl": "dd"}
    with pytest.raises(UserError, match="with other defaults of aspl"):
        joined(measured([0], made_with=slower), measured([1], made_with={"defaults of aspl": "ee"}))
    with pytest.raises(UserError, match="--n 2"):
        joined(earlier, measured([1], samples=3))
    with pytest.raises(UserError, match="does not say"):
        joined(measured([0], made_with={}), measured([1]))
    both = joined(earlier, measured([1], made_with={"diffusion": "aa", "identity": "ii"}))
    assert both.made_with == {"diffusion": "aa", "clip": "cc", "identity": "ii"}


def test_what_an_attack_is_matched_to_and_what_it_goes_through_count_too(lab):
    matched = made_with(lab, {"a": Cell(attack="decoded-shift")})
    assert {"defaults of decoded-shift", "defaults of aspl"} <= set(matched)
    through = Cell(attack="adaptive-aspl", settings={"purifier": "codesr"})
    assert "defaults of sr" in made_with(lab, {"a": through})
    assert "defaults of sr" not in made_with(lab, {"a": Cell(attack="adaptive-aspl")})


def test_only_defaults_that_a_cell_uses_decide_whether_it_may_stand_beside_another(tiny_lab):
    profile = tiny_lab.profile
    codesr = {"a": Cell(attack="aspl", purifier="codesr")}
    used = set(made_with(tiny_lab, codesr))
    links = {"aspl", "dreambooth", "restorer", "sr"} & set(profile.defaults)
    assert {f"defaults of {name}" for name in links} <= used and links
    other = {"dreambooth-lora": {"lr": 0.5}, "aspl": profile.defaults["aspl"] | {"rounds": 7}}
    changed = Lab(profile.model_copy(update={"defaults": profile.defaults | other}), "cpu")
    unopened = Lab(profile, "cpu")  # models count once they were opened, by whichever test
    assert made_with(changed, {"a": CLEAN}) == made_with(unopened, {"a": CLEAN})
    moved = made_with(changed, codesr).items() ^ made_with(unopened, codesr).items()
    assert {name for name, _ in moved} == {"defaults of aspl"}


def test_rows_of_an_attack_since_revised_are_not_joined_with_new_ones(tiny_lab):
    cells = {"a": Cell(attack="simac"), "b": Cell(attack="aspl")}
    digests = made_with(tiny_lab, cells)
    role = "code of the attack of a"
    assert role in digests and not any(name.startswith("code") and name != role for name in digests)
    without = {name: digest for name, digest in digests.items() if name != role}
    check_joins(measured([0], ("b",), made_with=without), 2, digests)
    with pytest.raises(UserError, match="earlier code of the attack of a; --save --force"):
        check_joins(measured([0], ("a",), made_with=without), 2, digests)
    with pytest.raises(UserError, match="other code of the attack of a; --save --force"):
        check_joins(measured([0], ("a",), made_with=digests | {role: "0"}), 2, digests)
    check_joins(measured([0], ("a",), made_with=digests), 2, digests)
