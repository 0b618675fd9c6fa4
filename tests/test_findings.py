"""Findings and figures of the pages follow the shipped results, whatever those say."""

import json
import math
import os
import re
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.transforms import Bbox

from shortcut_nb import results
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions.regime import MEAN_SHARE, by_rule
from shortcut_nb.plots.named import named_scatter
from shortcut_nb.plots.palette import LOOKS
from shortcut_nb.plots.placing import place_names
from shortcut_nb.plots.ranked import ranked_plot
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import argument, benchmark, changes, figures, findings, pages, rates
from shortcut_nb.reporting.shipped import shipped
from shortcut_nb.results import write_result

from .legibility import points_on_page

STYLE = {"attack": LOOKS[0], "noise": LOOKS[1]}
LEGIBLE = 9.0  # points, 800 pixels wide


@pytest.fixture
def kept(monkeypatch):
    """The measurement of the argument, to be changed; findings then read the changed one."""
    own = argument.measurement()
    own = replace(own, frame=own.frame.copy())
    monkeypatch.setattr(argument, "measurement", lambda: own)
    return own


def put(kept, treatment, metric, value, sheet="instance"):
    """Give everybody's samples after a treatment another value."""
    frame = kept.frame
    rows = (frame["condition"] == f"{treatment} | {argument.EPS}") & (frame["sheet"] == sheet)
    assert rows.sum() == 24
    frame.loc[rows, metric] = value


def test_six_findings_each_with_one_number_and_one_picture():
    all_findings = list(findings.findings().values())
    assert len(all_findings) == 6
    assert len({each.figure for each in all_findings}) == 6
    assert {each.figure for each in all_findings} <= set(figures.FIGURES)
    for each in all_findings:
        assert re.search(r"\d", each.number) and each.answer in findings.ANSWER_LABELS
        assert "nan" not in each.text + each.number and "None" not in each.text
        words = r"interval|bootstrap|significan|p-value|correlat|95 %"
        assert not re.search(words, each.text), "no statistics on the first page"


def test_a_finding_says_what_the_numbers_say(kept):
    assert findings.finding("protection").answer == "yes"
    put(kept, "aspl", "quality", 0.96)
    changed = findings.finding("protection")
    assert changed.answer == "open" and "0.96" in changed.number and "open" in changed.title
    assert "identity match, from" in changed.text
    put(kept, "photoguard", "ims_missing", 0.9)
    assert "identity match, from" not in findings.finding("protection").text


def test_a_gap_on_either_side_of_zero_changes_the_finding(kept):
    assert findings.finding("shortcut").answer == "yes"
    put(kept, "aspl", "texture", 2.5, "class")
    assert findings.finding("shortcut").answer == "partly", "the class is not spared"
    put(kept, "aspl", "texture", 0.5)
    assert findings.finding("shortcut").answer == "no"
    put(kept, "aspl", "texture", 0.53, "class")
    assert findings.finding("shortcut").answer == "open"


def raise_texture(kept, sheet, above):
    """Texture of V* or the class under ASPL: so far above clean training's, person by person."""
    frame = kept.frame
    place = (frame["sheet"] == sheet, frame["condition"])
    cells = [place[0] & (place[1] == f"{name} | {argument.EPS}") for name in ("aspl", "clean")]
    people = sorted(frame["subject"].unique())
    clean = frame[cells[1]].set_index(["subject", "seed"])["texture"]
    for person, rise in zip(people, np.resize(above, len(people)), strict=True):
        for seed in (0, 1):
            rows = cells[0] & (frame["subject"] == person) & (frame["seed"] == seed)
            frame.loc[rows, "texture"] = clean[person, seed] + rise


@pytest.mark.parametrize(("spread", "answer"), [(0.01, "yes"), (1.0, "partly")])
def test_the_class_is_spared_where_it_can_hardly_suffer(kept, spread, answer):
    """A tenth of what V* suffers is 0.2 here: the whole interval must lie below."""
    raise_texture(kept, "instance", [2.0])
    raise_texture(kept, "class", [0.05 + spread, 0.05 - spread])
    assert argument.shortcut_finding()[0] == answer


@pytest.mark.parametrize(("spread", "answer"), [(0.1, "yes"), (5.0, "open")])
def test_a_gap_that_may_be_none_is_no_answer(kept, spread, answer):
    raise_texture(kept, "instance", [1.0 + spread, 1.0 - spread])
    raise_texture(kept, "class", [0.0])
    assert argument.shortcut_finding()[0] == answer


def test_a_purifier_that_gives_nothing_back_changes_the_finding(kept):
    rows = kept.frame["treatment"].where(kept.frame["eps"] == argument.EPS)
    same = kept.frame.loc[rows == "restored", "attributes"].to_numpy()
    kept.frame.loc[rows == "CodeSR", "attributes"] = same
    assert findings.finding("purification").answer == "yes"
    put(kept, "CodeSR", "attributes", 0.2)
    assert findings.finding("purification").answer == "partly"
    assert "pays with the person" in findings.finding("purification").text
    put(kept, "restored", "quality", 0.43)
    assert findings.finding("purification").answer == "no"


@pytest.mark.parametrize(("idle", "words"), [(True, "nothing back (0.36)"), (False, "give 0.36.")])
def test_words_of_drawing_that_do_nothing_are_told_as_such(idle, words):
    _, values = argument.decoupling_finding()
    more = findings.words()["decoupling"]["more"]
    assert words in " ".join(findings._sentences(more, values | {"idle": idle, "drawing": 0.36}))


def test_naming_the_noise_is_told_with_its_price(kept):
    assert findings.finding("decoupling").answer == "partly"
    assert "price" in findings.finding("decoupling").text
    put(kept, "CDL", "attributes", 1.0)
    put(kept, "CDL", "ims_missing", 1.0)
    assert findings.finding("decoupling").answer == "yes"
    assert "price" not in findings.finding("decoupling").text
    put(kept, "CDL", "quality", 0.43)
    assert findings.finding("decoupling").answer == "open"


def test_what_changed_is_said_and_nothing_else(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(changes, "FOLDER", tmp_path)
    then = {name: asdict(each) for name, each in findings.findings().items()}
    write_result(changes.NAME, then, folder=tmp_path)
    assert changes.rows() == []
    put(kept, "clean", "quality", 0.25)
    monkeypatch.delitem(changes.WHY, "protection")
    row = next(row for row in changes.rows() if row[0] == "protection")
    assert "0.97" in row[1] and "0.25" in row[2]
    assert row[3] == changes.UNEXPLAINED
    monkeypatch.setitem(changes.WHY, "protection", "a test")
    assert changes.rows()[0][3] == "a test"


def test_every_finding_that_changed_is_explained():
    assert all(row[3] != changes.UNEXPLAINED for row in changes.rows())


def test_ratios_of_rates_are_the_papers():
    assert rates.ratio(5e-7, 1000, 1e-4) == pytest.approx(5)
    unet = rates.rates().set_index("name")["unet"]
    assert unet["the paper"] == pytest.approx(5)
    assert unet["candidate: the rule, 120 steps"] == pytest.approx(5, rel=0.01)
    assert unet["candidate: first miniature's"] == pytest.approx(12)  # constant: its mean is itself


def test_the_mean_of_a_schedule_is_that_of_its_steps():
    warm = {"steps": 120, "lr_scheduler": "cosine", "warmup": 1 / 6}
    rising = [step / 20 for step in range(20)]
    falling = [(1 + math.cos(math.pi * step / 100)) / 2 for step in range(100)]
    assert rates.mean_share(warm) == pytest.approx(sum(rising + falling) / 120)
    assert rates.mean_share(warm) == pytest.approx(MEAN_SHARE, rel=0.01)


def test_where_the_profile_stands_is_said_from_its_rates(monkeypatch):
    own = load_profile("mini")
    assert "not the rule's" in rates.present_rates() and "4 times" in rates.present_rates()
    settings = own.defaults["dreambooth"] | by_rule(120)
    ruled = own.model_copy(update={"defaults": own.defaults | {"dreambooth": settings}})
    monkeypatch.setattr(rates, "load_profile", lambda name: ruled)
    assert rates.present_rates() == "The rates in `profiles/mini.yaml` follow the rule."


def test_a_measured_regime_comes_onto_its_page_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PACKAGE", tmp_path)
    assert rates.regime_tables() == rates.NOT_YET
    rows = [
        {
            "condition": name,
            "subject": f"s{i}",
            "seed": 0,
            "sheet": sheet,
            "quality": q + i / 50,
        }
        for name, q in (("profile", 0.6), ("the rule, 120 steps", 0.9))
        for sheet in ("instance", "class")
        for i in range(3)
    ]
    Measurement.of("regime", pd.DataFrame(rows), question="At which rates?").write()
    page = rates.regime_tables()
    assert "At which rates? 3 people" in page and "rule, 120 steps" in page
    assert "![Mean of quality" in page and "figures/results_regime_quality.png" in page
    (chart,) = rates.charts(rates.regime_results()[0])
    assert set(chart.data["group"]) == {"V* samples", "class samples"}


def texts(figure):
    figure.draw_without_rendering()
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        texts += [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
        texts += [*ax.get_xticklabels(), *ax.get_yticklabels()]
        texts += ax.get_legend().get_texts() if ax.get_legend() else []
    return [text for text in texts if text.get_visible() and text.get_text()]


def test_a_page_is_replaced_whole(tmp_path, monkeypatch):
    """A second name of the old file keeps its old text: nothing is written in place."""
    page, aside = tmp_path / "page.md", tmp_path / "aside.md"
    page.write_text("<!-- part -->\nold\n<!-- /part -->\n")
    os.link(page, aside)
    monkeypatch.setattr(pages, "PAGES", {page: {"part": lambda: "new"}})
    pages.main()
    assert "new" in page.read_text() and "old" in aside.read_text()


# Drawn in a second and not in five.
QUICK = {"argument_protection", "results_captions", "results_visibility"}
DRAWN = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in figures.FIGURES
]


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_the_pages_are_legible_at_page_width(name):
    chart = figures.chart_of(name)
    assert chart.name == name and len(chart.data)
    width = chart.figure.get_size_inches()[0]
    sizes = {
        text.get_text(): points_on_page(text.get_fontsize(), width) for text in texts(chart.figure)
    }
    assert sizes and min(sizes.values()) >= LEGIBLE, sizes
    counts = set(chart.data["n"]) if "n" in chart.data else set()
    if len(counts) > 1:  # each panel says its own
        assert {f"({n} people)" for n in chart.data["n"]} == {
            f"({text.partition(' (')[2]}" for text in sizes if text.endswith(" people)")
        }
    else:
        people = counts or {len(shipped(figures.FIGURES[name].result)["subjects"])}
        assert f"n = {people.pop()} people" in sizes


def test_the_shipped_figures_show_the_shipped_numbers():
    for name, figure in figures.FIGURES.items():
        data = figure.table().reset_index(drop=True)
        kept = pd.read_csv(figures.FOLDER / f"{name}.csv")
        assert list(kept.columns) == list(data.columns), f"run make figures ({name})"
        column = "mean" if "mean" in data else "fall"
        assert kept[column].to_list() == pytest.approx(data[column].to_list(), rel=1e-4), name
        alt = json.loads((figures.FOLDER / f"{name}.json").read_text())["alt"]
        assert alt == figure.alt, name


def crowd():
    rows = [
        {"name": f"point {i}", "group": "attack" if i % 2 else "noise", "x": x, "y": y}
        for i, (x, y) in enumerate([(0, 0), (0.01, 0.01), (0.02, 0), (0.01, -0.01), (1, 1), (2, 0)])
    ]
    return pd.DataFrame(rows)


def test_every_point_has_its_name_and_no_name_covers_another():
    figure = named_scatter(crowd(), "x", "y", STYLE)
    (ax,) = figure.axes
    named = [text for text in ax.texts if text.get_text().startswith("point")]
    assert sorted(text.get_text() for text in named) == [f"point {i}" for i in range(6)]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in named]
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:i]), named[i].get_text()
    again = named_scatter(crowd(), "x", "y", STYLE).axes[0].texts
    assert [t.get_position() for t in again] == [t.get_position() for t in ax.texts]
    with pytest.raises(UserError, match="nothing"):
        named_scatter(crowd(), "nothing", "y", STYLE)


def names_of(figure):
    """The names of a scatter's points with their boxes, and the boxes of its markers, in pixels."""
    figure.draw_without_rendering()
    (ax,) = figure.axes
    names = {text.get_text(): text.get_window_extent() for text in ax.texts if text.get_text()}
    markers = []
    for points in ax.collections:
        if isinstance(points, PathCollection):
            half = figure.dpi / 72 * points.get_sizes()[0] ** 0.5 / 2
            for x, y in points.get_offset_transform().transform(points.get_offsets()):
                markers.append(Bbox([(x - half, y - half), (x + half, y + half)]))
    return names, markers


NAMED = {
    name: partial(lambda own: own.draw(own.table()), figures.FIGURES[name])
    for name in ("results_visibility", "results_mismatch", "results_mismatch_seen")
}
NAMED["benchmark_worst"] = lambda: benchmark.worst_picture(benchmark.worst_cases())


@pytest.mark.parametrize("name", NAMED)
def test_no_name_covers_a_point_or_another_name_in_a_shipped_figure(name):
    """As drawn from the present results; most of these have two dozen points."""
    names, markers = names_of(NAMED[name]())
    assert len(names) == len(markers) >= 10
    boxes = list(names.values())
    covered = [
        own for i, (own, box) in enumerate(names.items()) if box.count_overlaps(boxes[:i] + markers)
    ]
    assert not covered


def test_a_name_stands_nearer_to_its_own_point_than_to_another_or_has_a_line():
    points = np.array([[50.0, 50], [58, 50], [54, 57], [54, 43]])
    boxes, lines = place_names(points, np.full((4, 2), (30.0, 8)), np.array([0, 0, 110, 100]), 4)
    gaps = np.linalg.norm(
        np.clip(points, boxes[:, None, :2], boxes[:, None, 2:]) - points, axis=2
    )  # of every name to every point
    assert gaps.min() >= 4 and (gaps.argmin(1) == range(4)).all()
    assert (lines[:, :2] == points).all()
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [110, 100]).all()
    with pytest.raises(ValueError, match="points and sizes"):
        place_names(points, points[:2], np.array([0, 0, 1, 1]), 4)


def test_a_line_marks_zero_where_it_is_near():
    for above, lines in ((0, 1), (0.2, 1), (5, 0)):
        table = crowd()
        table["y"] += above
        ax = named_scatter(table, "x", "y", STYLE).axes[0]
        assert len(ax.lines) == lines


def test_rows_stand_in_the_order_of_the_table():
    table = pd.DataFrame({"name": ["b", "a"], "group": "attack", "mean": [2.0, 1.0]})
    table = table.assign(low=table["mean"] - 1, high=table["mean"] + 1)
    (ax,) = ranked_plot(table, STYLE).axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["b", "a"]
    named = ranked_plot(table, STYLE, ylabel="letters").axes[0]
    assert named.get_ylabel() == "letters"
    with pytest.raises(UserError, match="low"):
        ranked_plot(table.drop(columns="low"), STYLE)
    with pytest.raises(ValueError, match="rows to draw"):
        ranked_plot(table.iloc[:0], STYLE)
