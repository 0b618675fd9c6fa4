"""The shortcut's predictions on constructed frames, tables and figures; its question, run small."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgba

from shortcut_nb.analysis.lead import by_share, lead
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.contrasts import judge, per_subject
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.questions.shortcut import BASE, PREDICTED, WORDS, cells, contrasts
from shortcut_nb.plots import Edge, causal_graph, curve_plot
from shortcut_nb.plots.causal_graph import VERDICT_LABELS
from shortcut_nb.plots.layout import PAGE_WIDTH
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import causes, shortcut
from shortcut_nb.reporting.shipped import Shipped, shipped
from shortcut_nb.reporting.shortcut import FIRST, judged

from .legibility import points_on_page

CLAIMS = [claim for claim, *_ in PREDICTED]
SHARES = (0, 0.33, 1)
# How much of the shortcut each condition shows, as a share of the protected one's.
AMOUNT = {"clean": 0.0, "1/4 protected": 0.25, "1/2 protected": 0.5, "3/4 protected": 0.75,
          "protected": 1.0, "shuffled": 0.6, "another's": 0.5, "random noise": 0.2,
          "caption": 0.3, "traits": 1.5, "noise named": 0.4, "no prior": 0.1}  # fmt: skip
SHEETS = {"own": 1.0, "bare": 0.8, "swapped": 0.3, "class": 0.0, "trained": 1.2}


def frame(subjects=6, amount=None):
    """Samples of a world in which the hypothesis holds (or ``amount`` says otherwise)."""
    amount = AMOUNT | (amount or {})
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for condition, strength in amount.items():
            for share in SHARES if condition in ("clean", "protected") else SHARES[-1:]:
                watched = condition in ("clean", "protected")
                for sheet, part in SHEETS.items():
                    if sheet in ("bare", "swapped") and not watched:
                        continue
                    learned = {0: 0.0, 0.33: 0.8, 1: 1.0}[share]
                    harm = strength * part * learned + 0.01 * rng.normal() * (share > 0)
                    person = {0: 0.0, 0.33: 0.3, 1: 1.0}[share] * (sheet != "class")
                    rows.append({
                        "condition": condition, "subject": f"s{i}", "seed": 0, "attack": "aspl",
                        "eps": "16/255", "purifier": "none", "image": 0,
                        "sheet": sheet if share == 1 else f"{sheet} at {share:.2f}",
                        "texture": 3 + 0.3 * i + 2 * harm,
                        "quality": 0.8 - 0.3 * harm, "ims_missing": person - 0.1 * harm,
                        "noise": harm, "l2": 10 * strength,
                    })  # fmt: skip
    table = pd.DataFrame(rows)
    last = table[(table["condition"] == "clean") & ~table["sheet"].str.contains(" at ")]
    controls = [
        last.assign(condition=f"{name}, clean")
        for name in ("caption", "traits", "noise named", "no prior")
    ]
    return pd.concat([table, *controls], ignore_index=True)


def texture(rows):
    return {row["claim"]: row for row in rows if row["score"] == "texture"}


def test_every_condition_of_a_prediction_exists():
    assert len(set(CLAIMS)) == len(CLAIMS) == 15
    for contrast in contrasts():
        gaps = {}
        for place, weight in zip(contrast.cells(), contrast.weights.values(), strict=True):
            assert place["sheet"] in SHEETS
            gaps[place["condition"]] = gaps.get(place["condition"], 0) + weight
        assert set(gaps) <= set(cells()) and contrast.why
        # Each condition is a difference of its own sheets.
        assert list(gaps.values()) == pytest.approx([0] * len(gaps))
    assert [(c.name, c.metric) for c in contrasts() if c.primary] == [
        (f"{BASE} (texture)", "texture")
    ]
    asked = open_experiment("intervention", load_profile("mini")).contrasts
    h1 = {contrast.name for contrast in asked}
    mine = {claim for *_, claim, _ in causes.ARROWS}
    assert mine <= set(CLAIMS) | h1 and mine & h1


def test_a_world_of_shortcuts_confirms_the_predictions():
    rows = judged(frame())
    table = texture(rows)
    assert set(table) == set(CLAIMS)
    assert table[BASE]["difference"] == pytest.approx(2, abs=0.05)
    assert table["more perturbed pictures, more of it"]["difference"] == pytest.approx(2, abs=0.1)
    assert table["a telling caption binds less than V*"]["difference"] == pytest.approx(
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
    early = given["sheet"] == "own at 0.33"
    late_texture = given.assign(texture=given["texture"].where(~early, 3.0))
    claim = next(row for row in judged(late_texture) if row["claim"] == FIRST)
    assert claim["verdict"] == "refuted"
    burst = early & (given["condition"] == "protected")
    overshoot = given.assign(texture=given["texture"].where(~burst, given["texture"] + 4))
    lead = next(row for row in judged(overshoot) if row["claim"] == FIRST)["difference"]
    assert lead == pytest.approx(0.8 + 2 - 0.22 / 0.9, abs=0.1)


def test_what_was_not_run_is_left_out():
    part = frame()
    part = part[part["condition"].isin(["clean", "protected"])]
    three = set(CLAIMS[:3])
    assert BASE in three and set(texture(judged(part))) == three
    assert per_subject(part, contrasts()[-1]).empty
    assert len(lead(part[~part["sheet"].str.contains(" at ")])) == 0


def test_pairs_are_within_subjects():
    """Subjects differ by far more than the conditions do."""
    given = frame()
    values = per_subject(given, contrasts()[0])
    assert len(values) == 6 and values.std() < 0.1
    levels = given[given["condition"] == "clean"].groupby("subject")["texture"].mean()
    assert levels.std() > 0.4


def test_a_frame_is_split_into_sheets_and_shares():
    split = by_share(pd.DataFrame({"sheet": ["own", "class at 0.50", "own at 0.00"]}))
    assert split["sheet"].tolist() == ["own", "class", "own"]
    assert split["share"].tolist() == [1, 0.5, 0]
    assert by_share(split) is split


def test_what_bench_keeps_gives_verdicts_curves_and_levels(tmp_path):
    question = open_experiment("shortcut", load_profile("mini"))
    Measurement.of("shortcut", frame(), contrasts=question.contrasts).write(tmp_path)
    kept = shipped("shortcut", folder=tmp_path)
    assert (kept["eps"], kept["attack"], len(kept["subjects"])) == ("16/255", "aspl", 6)
    assert len(kept["predictions"]) == 3 * len(CLAIMS) + 1
    direct = {row["claim"]: row for row in judged(frame()) if row["score"] == "texture"}
    for claim, row in texture(kept["predictions"]).items():
        assert row["difference"] == pytest.approx(direct[claim]["difference"], rel=1e-3)
        assert row["verdict"] == direct[claim]["verdict"]
    steps = pd.DataFrame(kept["steps"])
    assert set(steps["sheet"]) == set(shortcut.SHEETS.values())
    assert set(steps["condition"]) == {"clean", "protected"}
    end = steps[(steps["condition"] == "protected") & (steps["share"] == 1)]
    own = end[(end["sheet"] == "V* class") & (end["score"] == "texture")]["mean"]
    assert own.item() == pytest.approx(3 + 0.3 * 2.5 + 2, abs=0.05)
    assert {row["condition"] for row in kept["means"]} == set(frame()["condition"])


def test_the_shipped_curves_are_over_shares_of_the_training():
    steps = pd.DataFrame(shipped("shortcut")["steps"])
    assert steps["share"].min() == 0 and steps["share"].max() == 1


def of_h1():
    """The intervention, in which ASPL moves what the model sees, and nothing harms."""
    draw, cells = np.random.default_rng(0), {"noise": 0.1, "aspl": 0.4, "decoded-shift": 0.6}
    question = open_experiment("intervention", load_profile("mini"))
    harms = {contrast.metric for contrast in question.contrasts}
    rows = [
        {"condition": name, "eps": "16/255", "subject": f"s{i}"}
        | {metric: draw.normal() for metric in harms}
        | {"decoded_towards": shift + 0.01 * draw.normal()}
        for name, shift in cells.items() for i in range(6)
    ]  # fmt: skip
    return Measurement.of("intervention", pd.DataFrame(rows), contrasts=question.contrasts)


def test_the_graph_takes_its_arrows_from_the_result_beside(tmp_path):
    of_h1().write(tmp_path)
    rows = judged(frame())
    beside = causes.claims_beside("16/255", tmp_path)
    causes.draw_graph(causes.edges([*rows, *beside]), "16/255", tmp_path)
    drawn = pd.read_csv(tmp_path / "shortcut_graph.csv")
    assert len(drawn) == len(causes.ARROWS)
    assert len(causes.edges(rows)) == len(causes.ARROWS) - 4  # without the file beside
    shifted = drawn[drawn["cause"] == causes.SHIFTED]
    assert set(shifted["effect"]) == {causes.BOUND, "quality", "identity"}


def newcomer(amount):
    one = frame(subjects=1, amount=amount)
    return one.assign(subject="mini:held-out/30")


def test_the_claim_of_the_notebook_fails_when_the_effect_is_taken_away():
    """Against the shipped result: a person in whom V* carries the noise, and one in whom not."""
    larger = Shipped(shipped("shortcut"), "mini", same=True)
    row = shortcut.check(newcomer({"protected": 1.0}), larger).iloc[0]
    assert row["here"] == pytest.approx(2, abs=0.1)
    same = newcomer({"protected": 1.0})
    clean = same[same["condition"] == "clean"]
    untouched = pd.concat([clean, clean.assign(condition="protected")])
    with pytest.raises(AssertionError, match="expected a gap"):
        shortcut.check(untouched, larger)
    with pytest.raises(AssertionError, match="expected a gap"):
        shortcut.check(newcomer({"protected": -1.0}), larger)
    shared = newcomer({"protected": 1.0})
    of_class = shared["sheet"].str.startswith("class") & (shared["condition"] == "protected")
    shared.loc[of_class, "texture"] += 2.5  # the class has it, and more
    with pytest.raises(AssertionError, match="expected a gap"):
        shortcut.check(shared, larger)


def test_the_claim_is_for_people_and_profiles_that_it_is_about():
    larger = Shipped(shipped("shortcut"), "mini", same=True)
    seen = newcomer({"protected": -1.0}).assign(subject=larger["subjects"][0])
    assert shortcut.check(seen, larger)["here"].item() < 0
    elsewhere = Shipped(larger, "mini", same=False)
    assert shortcut.check(newcomer({"protected": -1.0}), elsewhere)["here"].item() < 0
    with pytest.raises(AssertionError, match="nothing to check"):
        shortcut.check(newcomer({}), Shipped(larger | {"predictions": []}, "mini"))


def arrow(cause, effect, claim="a claim", verdict="confirmed", low=0.5):
    return Edge(cause, effect, claim, "texture", 1.0, low, 1.5, verdict)


def test_the_graph_counts_what_stands_behind_each_arrow():
    given = [arrow("a", "b"), arrow("a", "b", "a second claim", "undecided"),
             arrow("b", "c", "last", "refuted"), arrow("d", "c", low=float("nan")),
             arrow("a", "c")]  # fmt: skip
    ax = causal_graph(given, {"a": "protected"}).axes[0]
    words = [text.get_text() for text in ax.texts]
    assert {"a", "b", "c", "d"} <= set(words)
    assert sorted(set(words) - set("abcd")) == ["1 of 2"]
    assert "[+0.50, +1.50]" in given[0].label and "[" not in given[3].label
    patches = [patch for patch in ax.patches if patch.get_arrowstyle()]
    assert len(patches) == 4  # two experiments share an arrow
    legend = ax.get_legend()
    assert "how many" in legend.get_title().get_text()
    assert [text.get_text() for text in legend.get_texts()] == list(VERDICT_LABELS.values())
    dashes = {(line.get_color(), line.get_linestyle()) for line in legend.get_lines()}
    assert {(to_hex(p.get_edgecolor()).upper(), p.get_linestyle()) for p in patches} == dashes
    assert len({patch.get_linestyle() for patch in patches}) == 3
    place = {t.get_text(): t.get_position() for t in ax.texts if t.get_text() in "abcd"}
    assert place["a"][1] > place["b"][1] > place["c"][1]
    assert place["d"][1] == place["b"][1] and place["d"][0] != place["b"][0]
    assert min(t.get_fontsize() for t in ax.texts) >= 11


def shipped_graph():
    larger = shipped("shortcut")
    claims = [*larger["predictions"], *causes.claims_beside(larger["eps"])]
    arrows = causes.edges(claims)
    return arrows, causal_graph(arrows, causes.COLORS, causes.ATTACKS)


def test_each_cause_in_training_has_verdicts_of_its_own():
    arrows, _ = shipped_graph()
    judged = {}
    for each in arrows:
        judged.setdefault((each.cause, each.effect), []).append(each.verdict)
    assert judged[causes.NAMING, causes.BOUND] == ["confirmed"]
    assert judged[causes.PRIOR, causes.BOUND] == ["confirmed"]
    assert judged[causes.PERSON, causes.BOUND] == ["refuted"] * 2


def test_the_graph_is_legible_at_page_width_and_no_word_covers_another():
    _, figure = shipped_graph()
    figure.draw_without_rendering()
    ax = figure.axes[0]
    legend = ax.get_legend()
    words = [*ax.texts, *legend.get_texts(), legend.get_title()]
    width = figure.get_size_inches()[0]
    assert min(points_on_page(text.get_fontsize(), width) for text in words) >= 9
    boxes = [text.get_window_extent() for text in words]
    assert not [words[i].get_text() for i, box in enumerate(boxes) if box.count_overlaps(boxes[:i])]
    page = figure.bbox
    assert all(page.contains(*corner) for box in boxes for corner in box.corners())


def test_an_arrow_goes_around_what_stands_between():
    given = [arrow("a", "b"), arrow("b", "c"), arrow("a", "c")]
    bends = [
        patch.get_connectionstyle().rad
        for patch in causal_graph(given).axes[0].patches
        if patch.get_arrowstyle()
    ]
    assert bends[:2] == [0, 0] and bends[2] != 0


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
    with pytest.raises(UserError, match="nope"):
        curve_plot(table, by="nope")
    with pytest.raises(ValueError, match="empty"):
        curve_plot(table[:0], by="sheet")


def test_further_points_lie_over_the_lines_of_their_panel_in_their_colours():
    lines = pd.DataFrame(
        [(x, word, panel, x, 0, 9) for panel in "pq" for word in ("V*", "class") for x in (0, 1)],
        columns=["step", "sheet", "panel", "mean", "low", "high"],
    )
    points = pd.DataFrame({"step": [0, 1, 1], "sheet": ["class", "V*", "V*"], "panel": list("ppq"),
                           "mean": [3.0, 4.0, 5.0]})  # fmt: skip
    fig = curve_plot(lines, "step", "sheet", "panel", points=points, points_name="one person")
    dots = [
        [part for part in ax.collections if isinstance(part, PathCollection)] for ax in fig.axes
    ]
    (first, _), (second,) = dots  # the first panel has one more, empty, for the legend
    assert first.get_offsets().tolist() == [[0, 3], [1, 4]]
    assert second.get_offsets().tolist() == [[1, 5]]
    colors = {line.get_label(): to_rgba(line.get_color()) for line in fig.axes[0].lines}
    assert first.get_facecolors().tolist() == [list(colors["class"]), list(colors["V*"])]
    words = [text.get_text() for text in fig.axes[1].get_legend().get_texts()]
    assert words == ["V*", "class", "one person"]
    with pytest.raises(UserError, match="panel"):
        curve_plot(lines, "step", "sheet", "panel", points=points.drop(columns="panel"))


def test_curves_of_a_page_stand_in_rows_under_one_legend():
    table = pd.DataFrame(
        [(step, "V*", panel, 1.0, 0.5, 1.5) for panel in "pqr" for step in (0, 60)],
        columns=["step", "sheet", "panel", "mean", "low", "high"],
    )
    page = curve_plot(table, "step", "sheet", "panel", columns=2)
    assert page.get_size_inches()[0] == PAGE_WIDTH
    assert [ax.get_title() for ax in page.axes] == ["p", "q", "r"]
    assert not any(ax.get_legend() for ax in page.axes)
    assert [text.get_text() for text in page.legends[0].get_texts()] == ["V*"]
    page.draw_without_rendering()
    rows = [ax.get_subplotspec().rowspan.start for ax in page.axes]
    assert rows == [0, 0, 1]
    numbered = [any(text.get_visible() for text in ax.get_xticklabels()) for ax in page.axes]
    assert numbered == [False, True, True]  # q has no panel below it


def test_the_question_has_the_cells_of_its_contrasts():
    question = open_experiment("shortcut", load_profile("mini"))
    every = question.all_cells()
    assert set(question.sheets) | set(every["protected"][0].sheets) >= set(WORDS)
    rows = [
        labels | {"condition": name, "subject": person, "sheet": sheet}
        | dict.fromkeys(("texture", "quality", "ims_missing"), 0.0)
        for name, (cell, labels) in every.items()
        for sheet in question.sheets | cell.sheets
        for person in "ab"
    ]  # fmt: skip
    table = judge(pd.DataFrame(rows), question.contrasts)  # strict: every cell is there
    assert (table["n"] == 2).all() and list(table["role"]).count("primary") == 1
