"""What was measured beforehand, and how a run is set beside it."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments.shipped import compare, gap, shipped, verdict


def test_what_was_not_measured_yet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result 'decoupling' .* bench decoupling"):
        shipped("decoupling", folder=tmp_path)
    assert [verdict(x) for x in (True, False, None, np.nan)] == [
        "confirmed", "refuted", "undecided", "undecided",
    ]  # fmt: skip


def test_a_run_is_compared_with_the_larger_one():
    def rows(each, n=6):
        return [{"piece": "x", "n": n} | gap("difference", np.array(each), 1)]

    clear, mixed = [0.2, 0.3, 0.25, 0.2, 0.3, 0.25], [0.2, 0.3, 0.25, 0.2, 0.3, 0.0]
    wrong, right = ({"piece": ["x"], "difference": [value]} for value in (-0.1, 0.1))
    table = compare(pd.DataFrame(right), rows(clear), ["piece"])
    assert table.loc[0, ["verdict", "asserted", "agrees"]].tolist() == ["confirmed", True, True]
    with pytest.raises(AssertionError, match="not as the larger run"):
        compare(pd.DataFrame(wrong), rows(clear), ["piece"])
    for loose in (rows(mixed), rows(clear, n=5), rows([-x for x in clear]), rows([-1, 1] * 3)):
        assert not compare(pd.DataFrame(wrong), loose, ["piece"]).loc[0, "asserted"]
    assert compare(pd.DataFrame(wrong), rows([-1, 1] * 3), ["piece"])["verdict"][0] == "undecided"
    with pytest.raises(AssertionError, match="nothing to check"):
        compare(pd.DataFrame(wrong).assign(piece="y"), rows(clear), ["piece"])


def test_a_run_of_another_profile_is_shown_beside_the_larger_one():
    mine = pd.DataFrame({"piece": ["x", "y"], "difference": [-0.1, 0.2]})
    theirs = [{"piece": "x", "n": 6} | gap("difference", np.array([0.2] * 6), 1)]
    table = compare(mine, theirs, ["piece"], strict=False).set_index("piece")
    assert table.loc["x", ["here", "verdict", "asserted", "agrees"]].tolist() == [
        -0.1, "confirmed", False, False,
    ]  # fmt: skip
    assert table.loc["y", ["verdict", "asserted", "agrees"]].tolist() == ["", False, ""]
    for nothing in (pd.DataFrame(), pd.DataFrame({"piece": ["x"], "difference": [np.nan]})):
        assert compare(nothing, theirs, ["piece"], strict=False).empty
    assert compare(mine, [], ["piece"], strict=False)["here"].tolist() == [-0.1, 0.2]
