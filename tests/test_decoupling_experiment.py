"""The shares of CDL's pieces: which sheets are drawn, and what the table makes of them."""

import json

import numpy as np
import pandas as pd
import pytest
import typer

from shortcut_nb.experiments import decoupling
from shortcut_nb.experiments.choice import chosen
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.decoupling import RUNGS, TRAININGS, VARIANTS, sheets, trainer
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.pool import in_processes
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.shipped import compare, gap, shipped, verdict
from shortcut_nb.experiments.stages import Cell, Stages
from shortcut_nb.personalize import PROMPTS
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.store import Store

N = "t@t noisy pattern"
# Quality by training and sheet; texture and noise are one minus it.
LEVELS = {
    ("plain", "plain"): 0.4, ("plain", "negative"): 0.45, ("plain", "suffix"): 0.4,
    ("plain", "suffix-negative"): 0.45, ("noise token", "plain"): 0.5, ("cdl", "plain"): 0.5,
    ("cdl", "suffix"): 0.6, ("cdl", "suffix-negative"): 0.55, ("cdl", "named"): 0.2,
    ("negative pairs", "suffix-negative"): 0.8, ("contrastive loss", "suffix-negative"): 0.3,
    **{("plain", decoupling.sheet_of(s)): 0.4 + s / 100 for s in decoupling.GUIDANCE},
    **{("cdl", decoupling.sheet_of(s)): 0.5 + s / 100 for s in decoupling.GUIDANCE},
}  # fmt: skip


def frame(subjects=6):
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for (training, sheet), level in LEVELS.items():
            for image in range(2):
                value = level + 0.1 * i + 0.005 * rng.normal()
                rows.append({
                    "subject": f"s{i}", "seed": 0, "image": image, "pictures": "protected 16/255",
                    "training": training, "sheet": sheet, "condition": f"{training} | {sheet}",
                    "quality": value, "ims_missing": value, "texture": 1 - value,
                    "noise": 1 - value,
                })  # fmt: skip
    return pd.DataFrame(rows)


def by_piece(table, score="quality"):
    return table[table["score"] == score].set_index("piece")


def test_every_rung_is_drawn(lab, subject):
    for _, training, sheet in RUNGS:
        assert sheet in sheets(subject, trainer(lab, training, 0), training)
    found = sheets(subject, trainer(lab, "cdl", 0), "cdl")
    assert found["plain"].prompt == subject.instance_prompt
    assert found["suffix"].prompt == f"{subject.instance_prompt}, without {N}"
    assert found["named"].prompt == f"{subject.instance_prompt}, with {N}"
    assert found["guidance-2_5"].guidance_scale == 2.5
    assert found["guidance-2_5"].negative == lab.profile.prompts.negative
    assert found["guidance-4"] == found["suffix-negative"], "the usual scale is no sheet of its own"
    plain = sheets(subject, trainer(lab, "plain", 0), "plain")
    assert plain["guidance-9"].prompt == subject.instance_prompt
    assert plain["guidance-9"].negative == ""
    several = sheets(subject, trainer(lab, "four noise tokens", 0), "four noise tokens")
    assert several["named"].prompt.endswith("with t@t q@q z@z k@k noisy pattern")


def test_the_conditions_are_the_pieces_of_cdl(lab):
    forms = [trainer(lab, name, 3).prompts for name in TRAININGS]
    assert forms == ["plain", "noise-token", "cdl"]
    for name in VARIANTS:
        made = trainer(lab, name, 3, steps=7)
        assert (made.prompts, made.seed, made.steps) == ("cdl", 3, 7)
    cells = decoupling.pictures(["8/255"], "jpeg")
    assert cells["clean"] == Cell() and len(cells) == 4
    assert cells["protected 8/255, purified"] == Cell("aspl", eps="8/255", purifier="jpeg")
    assert set(decoupling.pictures(["2/255", "4/255"], None)) == {
        "clean", "protected 2/255", "protected 4/255",
    }  # fmt: skip


def test_only_pictures_that_there_are_can_be_chosen():
    kinds = decoupling.pictures(["8/255"], "jpeg")
    assert chosen(None, kinds, "kind of pictures") == list(kinds)
    assert chosen([], kinds, "kind of pictures") == []
    assert chosen(["clean"], kinds, "kind of pictures") == ["clean"]
    with pytest.raises(typer.BadParameter, match="protected 8/255, purified"):
        chosen(["protected 16/255"], kinds, "kind of pictures")


def test_shares_are_paired_differences_from_the_rung_before():
    found = by_piece(decoupling.rungs(frame()))
    assert found.loc["+ noise token", "difference"] == pytest.approx(0.1, abs=0.01)
    assert verdict(found.loc["+ noise token", "difference_holds"]) == "confirmed"
    assert verdict(found.loc["+ “without” when sampling", "difference_holds"]) == "confirmed"
    assert verdict(found.loc["+ negative prompt (CDL)", "difference_holds"]) == "refuted"
    assert pd.isna(found.loc["plain", "difference"])
    texture = by_piece(decoupling.rungs(frame()), "texture")
    # Less texture is better.
    assert verdict(texture.loc["+ noise token", "difference_holds"]) == "confirmed"


def test_controls_and_variants():
    found = by_piece(decoupling.controls(frame()))
    assert verdict(found.loc["negative prompt alone", "difference_holds"]) == "confirmed"
    assert found.loc["V_N* named", "difference"] == pytest.approx(-0.3, abs=0.01)
    # The noise comes back, as CDL promises.
    assert verdict(found.loc["V_N* named", "difference_holds"]) == "confirmed"
    tried = by_piece(decoupling.variants(frame()))
    assert set(tried.index) == {"cdl", "negative pairs", "contrastive loss"}
    assert verdict(tried.loc["negative pairs", "difference_holds"]) == "confirmed"
    assert verdict(tried.loc["contrastive loss", "difference_holds"]) == "refuted"
    assert tried.loc["cdl", "restored"] == pytest.approx(0.15, abs=0.01)


def test_what_bench_keeps_gives_the_same_tables(tmp_path):
    own = frame()
    own = own.assign(condition=own["pictures"] + " | " + own["training"], attack="aspl",
                     eps="16/255").drop(columns=["pictures", "training"])  # fmt: skip
    question = open_experiment("decoupling", load_profile("mini"))
    measured = Measurement.of("decoupling", own, contrasts=question.contrasts)
    measured.write(tmp_path)
    content = shipped("decoupling", folder=tmp_path)
    assert {row["guidance"] for row in content["guidance"]} == set(decoupling.GUIDANCE)
    assert json.dumps(content, allow_nan=False) and content["eps"] == "16/255"
    for name, table in (("pieces", decoupling.rungs(frame())),
                        ("variants", decoupling.variants(frame()))):  # fmt: skip
        kept = pd.DataFrame(content[name])
        assert kept["piece"].tolist() == table["piece"].tolist()
        np.testing.assert_allclose(kept["mean"], table["mean"], rtol=1e-4)
    verdicts = measured.verdicts().set_index("contrast")["verdict"]
    assert verdicts["CDL against DreamBooth: quality"] == "confirmed"
    assert verdicts["contrastive loss against CDL: quality"] == "refuted"
    assert verdicts["four noise tokens against CDL: quality"] == "not measured"


def test_the_question_has_the_cells_of_its_contrasts():
    profile = load_profile("mini")
    question = open_experiment("decoupling", profile)
    cells = question.all_cells()
    assert len(cells) == 6 * len(TRAININGS) + 3 * len(VARIANTS)
    assert cells["clean, purified | plain"][0].purifier == "profile"
    rows = [labels | {"condition": name, "subject": person, "sheet": sheet, "quality": 0.0,
                      "texture": 0.0, "ims_missing": 0.0}
            for name, (cell, labels) in cells.items() for sheet in question.sheets | cell.sheets
            for person in "ab"]  # fmt: skip
    judged = judge(pd.DataFrame(rows), question.contrasts)  # strict: every cell is there
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1


def test_the_runner_samples_it_in_the_same_words(lab, subject, tmp_path):
    pipeline = Pipeline(lab, Store(tmp_path))
    question = open_experiment("decoupling", lab.profile)
    for training in (*TRAININGS, *VARIANTS):
        cell = question.all_cells()[f"clean | {training}"][0]
        asked = question.sheets | cell.sheets
        made = trainer(lab, training, 0)
        for name, sheet in sheets(subject, made, training).items():
            if name == "named" and training in VARIANTS:
                continue  # no table asks for it
            drawn = pipeline.sample(subject, cell, 0, asked[name], 1).recipe.params["sheet"]
            words = PROMPTS["cdl"](subject, made.phrase(), lab.profile.prompts.negative)
            own = drawn["prompt"] is None  # the training's own words
            assert (words.sample if own else drawn["prompt"]) == sheet.prompt, (training, name)
            assert (words.negative if own else drawn["negative"]) == sheet.negative
            assert drawn["guidance_scale"] == sheet.guidance_scale


def test_one_fine_tuning_sampled_in_every_way(lab, subject, tmp_path):
    stages = Stages(lab, Store(tmp_path))
    small = {"steps": 1, "class_images": 4, "batch_size": 2}
    drawn = decoupling.drawn(stages, subject, Cell(), "negative pairs", n=1, **small)
    assert {sheet for _, sheet in drawn} == {"plain", "suffix-negative", "named"}
    found = decoupling.table_of(stages, subject, "clean", "negative pairs", 0, drawn)
    assert found["texture"].notna().all()
    assert by_piece(decoupling.variants(found)).loc["negative pairs", "n"] == 1


def test_what_was_not_measured_yet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result 'decoupling' .* bench decoupling"):
        shipped("decoupling", folder=tmp_path)
    assert [verdict(x) for x in (True, False, None, np.nan)] == [
        "confirmed", "refuted", "undecided", "undecided",
    ]  # fmt: skip


def test_work_in_processes_names_what_failed():
    tasks = [(2, 3), (0, -1)]
    with pytest.raises(RuntimeError, match=r"\(0, -1\)"):
        in_processes(pow, tasks, workers=1)
    assert in_processes(pow, tasks[:1], workers=0) == [8]


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
