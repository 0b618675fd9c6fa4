"""The shortcut experiment: predictions on constructed frames, tables, figures, one real run."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from shortcut_nb.experiments import shortcut
from shortcut_nb.experiments.contrasts import per_subject
from shortcut_nb.experiments.identifier import SPARED
from shortcut_nb.experiments.interventions import CONDITIONS, Condition
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.predictions import (
    BASE,
    FIRST,
    contrasts,
    judged,
    lead,
    predicted,
)
from shortcut_nb.experiments.questions import mismatch
from shortcut_nb.experiments.shipped import Shipped
from shortcut_nb.plots import Edge, causal_graph, curve_plot
from shortcut_nb.profile import PROFILES, load_profile

STEPS = (0, 20, 60)
# How much of the shortcut each condition shows, as a share of the protected one's.
AMOUNT = {"clean": 0.0, "1/4 protected": 0.25, "1/2 protected": 0.5, "3/4 protected": 0.75,
          "protected": 1.0, "shuffled": 0.6, "another's": 0.5, "random noise": 0.2,
          "caption": 0.3, "traits": 1.5, "noise named": 0.4}  # fmt: skip
SHEETS = {"own": 1.0, "bare": 0.8, "swapped": 0.3, "class": 0.0, "trained": 1.2}


def frame(subjects=6, amount=None):
    """Samples of a world in which the hypothesis holds (or ``amount`` says otherwise)."""
    amount = AMOUNT | (amount or {})
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for condition, strength in amount.items():
            for step in STEPS if condition in ("clean", "protected") else STEPS[-1:]:
                watched = condition in ("clean", "protected")
                for sheet, share in SHEETS.items():
                    if sheet in ("bare", "swapped") and not watched:
                        continue
                    learned = {0: 0.0, 20: 0.8, 60: 1.0}[step]
                    harm = strength * share * learned + 0.01 * rng.normal() * (step > 0)
                    person = {0: 0.0, 20: 0.3, 60: 1.0}[step] * (sheet != "class")
                    rows.append({
                        "condition": condition, "subject": f"s{i}", "seed": 0, "step": step,
                        "sheet": sheet, "image": 0, "texture": 3 + 0.3 * i + 2 * harm,
                        "quality": 0.8 - 0.3 * harm, "ims_missing": person - 0.1 * harm,
                        "noise": harm, "l2": 10 * strength, "trained": "a photo",
                    })  # fmt: skip
    found = pd.DataFrame(rows)
    last = found[(found["condition"] == "clean") & (found["step"] == STEPS[-1])]
    controls = [
        last.assign(condition=f"{name}, clean") for name in ("caption", "traits", "noise named")
    ]
    return pd.concat([found, *controls], ignore_index=True)


def texture(rows):
    return {row["claim"]: row for row in rows if row["score"] == "texture"}


def test_every_condition_of_a_prediction_exists():
    claims = list(predicted())
    assert len(claims) == 14
    for row in predicted().values():
        assert set(row) == {"claim", "why", "more", "sum"} and row["more"] in (True, False)
        assert set(row["sum"]) <= set(CONDITIONS) and row["why"]
        for weights in row["sum"].values():  # each condition is a difference of its own sheets
            assert sum(weights.values()) == pytest.approx(0) and set(weights) <= set(SHEETS)
    assert [(c.name, c.metric) for c in contrasts() if c.primary] == [(BASE, "texture")]
    h1 = {contrast.name.rpartition(", ")[0] for contrast in mismatch.contrasts("16/255")}
    elsewhere = {"purification removes the texture", SPARED}
    mine = {claim for *_, claim, _ in shortcut.ARROWS} - elsewhere
    assert mine <= set(claims) | h1 and mine & h1


def test_a_world_of_shortcuts_confirms_the_predictions():
    rows = judged(frame())
    found = texture(rows)
    assert set(found) == set(predicted())
    assert found[BASE]["difference"] == pytest.approx(2, abs=0.05)
    assert found["more perturbed pictures, more of it"]["difference"] == pytest.approx(2, abs=0.1)
    assert found["a telling caption binds less than V*"]["difference"] == pytest.approx(
        2 * (0.3 * 1.2 - 1), abs=0.1
    )
    assert {row["verdict"] for row in rows} == {"confirmed"}
    quality = next(r for r in rows if r["claim"] == BASE and r["score"] == "quality")
    assert quality["difference"] == pytest.approx(-0.3, abs=0.02) and quality["predicted"] == "−"
    first = next(row for row in rows if row["claim"] == FIRST)
    # The person on protected pictures: 0.3 less 0.08 of harm, of 1 less 0.1.
    assert first["difference"] == pytest.approx(0.8 - 0.22 / 0.9, abs=0.05)
    assert first["verdict"] == "confirmed"


def test_what_goes_the_other_way_is_refuted_and_noise_undecided():
    turned = texture(judged(frame(amount={"shuffled": -0.5, "caption": 2.0})))
    assert turned["a shuffled perturbation works too"]["verdict"] == "refuted"
    assert turned["a telling caption binds less than V*"]["verdict"] == "refuted"
    assert turned["another person's perturbation works too"]["verdict"] == "confirmed"
    none = texture(judged(frame(amount={"1/4 protected": 0.0})))
    assert none["a quarter of the pictures is enough"]["verdict"] == "undecided"
    alone = judged(frame(subjects=1))
    assert {row["verdict"] for row in alone} == {"undecided"}


def test_the_lead_of_the_texture_can_be_refuted_and_can_overshoot():
    given = frame()
    early = (given["step"] == 20) & (given["sheet"] == "own")
    late_texture = given.assign(texture=given["texture"].where(~early, 3.0))
    found = next(row for row in judged(late_texture) if row["claim"] == FIRST)
    assert found["verdict"] == "refuted"
    burst = early & (given["condition"] == "protected")
    overshoot = given.assign(texture=given["texture"].where(~burst, given["texture"] + 4))
    lead = next(row for row in judged(overshoot) if row["claim"] == FIRST)["difference"]
    assert lead == pytest.approx(0.8 + 2 - 0.22 / 0.9, abs=0.1)


def test_what_was_not_run_is_left_out():
    part = frame()
    part = part[part["condition"].isin(["clean", "protected"])]
    three = set(list(predicted())[:3])
    assert BASE in three and set(texture(judged(part))) == three
    assert per_subject(part, contrasts()[-1]).empty
    assert len(lead(part[part["step"] == 60])) == 0


def test_pairs_are_within_subjects():
    """Subjects differ by far more than the conditions do."""
    given = frame()
    values = per_subject(given[given["step"] == 60], contrasts()[0])
    assert len(values) == 6 and values.std() < 0.1
    levels = given[given["condition"] == "clean"].groupby("subject")["texture"].mean()
    assert levels.std() > 0.4


def of_h1():
    """A measurement of the mismatch in which ASPL shifts CLIP most, and nothing harms."""
    draw, cells = np.random.default_rng(0), {"noise": 0.1, "aspl": 0.4, "clip-shift": 0.3}
    rows = [
        {"condition": mismatch.at(name, "16/255"), "eps": "16/255", "subject": f"s{i}",
         "clip_towards": shift + 0.01 * draw.normal()}
        | {metric: draw.normal() for metric in mismatch.HARMS}
        for name, shift in cells.items() for i in range(6)
    ]  # fmt: skip
    there = {row["condition"] for row in rows}
    wanted = [
        contrast
        for contrast in mismatch.contrasts("16/255")
        if contrast.metric in rows[0] and set(contrast.weights) <= there
    ]
    return Measurement.of("mismatch", pd.DataFrame(rows), contrasts=tuple(wanted))


def test_report_writes_tables_curves_and_the_graph(tmp_path):
    story = {"claims": [{"claim": "purification removes the texture", "eps": eps,
                         "score": "texture", "difference": -1.6, "low": -2.0, "high": -1.4,
                         "holds": True} for eps in ("16/255", "8/255")]}  # fmt: skip
    (tmp_path / "story.json").write_text(json.dumps(story))
    of_h1().write(tmp_path)
    spared = {"attack": "aspl", "whose": "V* − class", "eps": "16/255", "score": "texture",
              "difference": -1.6, "low": -1.9, "high": -1.3, "holds": True}  # fmt: skip
    (tmp_path / "identifier.json").write_text(json.dumps({"without_prior": [spared]}))
    shortcut.report(frame(), "16/255", tmp_path)
    content = json.loads((tmp_path / "shortcut.json").read_text())
    assert len(content["predictions"]) == 3 * len(predicted()) + 1
    assert {row["sheet"] for row in content["steps"]} == set(shortcut.SHEETS.values())
    assert {row["condition"] for row in content["steps"]} == {"clean", "protected"}
    last = next(
        row for row in content["steps"] if row["condition"] == "protected" and row["step"] == 60
        and row["sheet"] == "V* class" and row["score"] == "texture"
    )  # fmt: skip
    assert last["mean"] == pytest.approx(3 + 0.3 * 2.5 + 2, abs=0.05)
    for name in ("steps_texture", "predictions_quality", "graph"):
        assert (tmp_path / f"shortcut_{name}.png").stat().st_size > 1000
    drawn = pd.read_csv(tmp_path / "shortcut_graph.csv")
    assert len(drawn) == len(shortcut.ARROWS)
    again = shortcut.edges(content["predictions"])
    assert len(again) == len(shortcut.ARROWS) - 2 - 5  # without the files beside
    shifted = drawn[drawn["cause"] == shortcut.SHIFTED]
    assert set(shifted["effect"]) == {shortcut.BOUND}


def test_the_check_fails_on_a_wrong_sign():
    rows = judged(frame(amount={"shuffled": -0.5}))
    content = Shipped({"eps": "16/255", "predictions": rows}, "mini")
    table = shortcut.check(frame(subjects=1), content, "16/255").set_index(["claim", "score"])
    assert table.loc[(BASE, "texture"), "asserted"]
    assert FIRST not in {claim for claim, _ in table.index}
    turned = ("a shuffled perturbation works too", "texture")
    assert table.loc[turned, "verdict"] == "refuted" and not table.loc[turned, "asserted"]
    with pytest.raises(AssertionError, match=BASE.replace("*", r"\*")):
        shortcut.check(frame(subjects=1, amount={"protected": -1.0}), content, "16/255")
    few = Shipped({"eps": "16/255", "predictions": judged(frame(subjects=2))}, "mini")
    turned_world = frame(subjects=1, amount={"protected": -1.0})
    assert not shortcut.check(turned_world, few, "16/255")["asserted"].any()
    assert not shortcut.check(turned_world, content, "8/255")["asserted"].any()
    elsewhere = Shipped(content, "mini", same=False)
    assert not shortcut.check(turned_world, elsewhere, "16/255")["asserted"].any()
    with pytest.raises(AssertionError, match="both"):
        shortcut.check(frame(subjects=1), Shipped(content | {"predictions": []}, "mini"), "16/255")


def arrow(cause, effect, claim="a claim", verdict="confirmed", low=0.5):
    return Edge(cause, effect, claim, "texture", 1.0, low, 1.5, verdict)


def test_the_graph_draws_every_edge_with_its_effect():
    given = [arrow("a", "b"), arrow("a", "b", "a second claim", "undecided"),
             arrow("b", "c", "last", "refuted"), arrow("d", "c", low=float("nan"))]  # fmt: skip
    fig = causal_graph(given)
    ax = fig.axes[0]
    assert len(ax.patches) == 3  # two experiments share an arrow
    words = [text.get_text() for text in ax.texts]
    assert {"a", "b", "c", "d"} <= set(words)
    for edge in given:
        assert any(edge.label in said for said in words)
    assert "[+0.50, +1.50]" in given[0].label and "[" not in given[3].label
    dashes = [patch.get_linestyle() for patch in ax.patches]
    assert len(set(dashes)) == 3  # undecided, refuted, confirmed
    place = {t.get_text(): t.get_position() for t in ax.texts if t.get_text() in "abcd"}
    assert place["a"][0] < place["b"][0] < place["c"][0]
    assert place["d"][0] == place["b"][0] and place["d"][1] != place["b"][1]


def test_the_graph_refuses_cycles_and_nothing():
    with pytest.raises(ValueError, match="no cycles"):
        causal_graph([arrow("a", "b"), arrow("b", "a")])
    with pytest.raises(ValueError, match="at least one"):
        causal_graph([])
    with pytest.raises(ValueError, match="verdict"):
        arrow("a", "b", verdict="maybe")


def test_curves_are_drawn_in_order_with_intervals():
    table = pd.DataFrame({
        "step": [60, 0, 60, 0], "sheet": ["V*", "V*", "class", "class"], "panel": list("pqpq"),
        "mean": [2.0, 1.0, 1.0, 1.0], "low": [1.5, 0.5, 0.5, 0.5], "high": [2.5, 1.5, 1.5, 1.5],
    })  # fmt: skip
    fig = curve_plot(table, by="sheet", ylabel="texture")
    lines = fig.axes[0].lines
    assert [line.get_label() for line in lines] == ["V*", "class"]
    assert lines[0].get_xdata().tolist() == [0, 60] and lines[0].get_ydata().tolist() == [1, 2]
    assert len(fig.axes[0].collections) == 2
    panels = curve_plot(table, "step", "sheet", panel="panel", titles={"p": "a title"})
    assert [ax.get_title() for ax in panels.axes] == ["a title", "q"]
    assert [t.get_text() for t in panels.axes[1].get_legend().get_texts()] == ["V*", "class"]
    with pytest.raises(KeyError, match="nope"):
        curve_plot(table, by="nope")
    with pytest.raises(ValueError, match="empty"):
        curve_plot(table[:0], by="sheet")


def test_the_neighbour_is_another_subject():
    profile = load_profile("mini")
    every = profile.subjects
    assert [shortcut.neighbour(profile, name) for name in every] == [*every[1:], every[0]]
    assert shortcut.neighbour(profile, "a/folder") == every[0]
    alone = profile.model_copy(update={"subjects": every[:1]})
    assert shortcut.neighbour(alone, every[0]) is None


@pytest.mark.slow
def test_a_small_run_from_pictures_to_verdicts(tmp_path):
    settings = yaml.safe_load((PROFILES / "mini.yaml").read_text())
    settings["sampling"]["steps"] = 2
    settings["defaults"]["dreambooth"] |= {"steps": 2, "class_images": 2}
    profile = tmp_path / "small.yaml"
    profile.write_text(yaml.safe_dump(settings))
    conditions = {
        "clean": CONDITIONS["clean"], "protected": Condition("noise", watched=True),
        "another's": Condition("noise", place="another"), "caption": CONDITIONS["caption, clean"],
    }  # fmt: skip
    subjects = settings["subjects"][:1]
    how = {"profile": str(profile), "n": 1, "workers": 0}
    found = shortcut.run(conditions, subjects, [0], **how)
    assert set(found["condition"]) == set(conditions)
    watched = found[found["condition"] == "protected"]
    assert set(watched["step"]) == {0, 1, 2} and set(watched["sheet"]) == set(shortcut.SHEETS)
    start = found[(found["step"] == 0) & (found["sheet"] == "own")].set_index("condition")
    assert start.loc["clean", "texture"] == start.loc["protected", "texture"]  # not yet trained
    told = found.groupby("condition")["trained"].first()
    assert told["another's"] == "a photo of sks person" and "sks" not in told["caption"]
    l2 = found.groupby("condition")["l2"].first()
    assert l2["clean"] == 0 and 8 < l2["another's"] <= l2["protected"] <= 16.01
    rows = judged(found)
    assert BASE in texture(rows)
    assert {row["verdict"] for row in rows} == {"undecided"}  # one subject
    again = shortcut.run(conditions, subjects, [0], **how)  # from the store
    pd.testing.assert_frame_equal(found, again)
