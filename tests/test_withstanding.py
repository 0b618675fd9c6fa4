"""The finding on attackers who know the defence says what the numbers say."""

import pandas as pd
import pytest

from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import adaptive
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import attackers, pages, withstanding
from shortcut_nb.reporting.figures import budget_curves
from shortcut_nb.reporting.summary import summary_of

USUAL, MOST = "16/255", "32/255"
# The quality and the identity match that are left, by attacker, defence and budget.
LEFT = {
    ("clean", "none", "0/255"): (0.98, 0.8),
    ("clean", "purifier", "0/255"): (0.98, 0.8),
    ("clean", "both", "0/255"): (0.99, 0.6),
    ("nothing", "purifier", USUAL): (0.97, 0.8),
    ("nothing", "purifier", MOST): (0.97, 0.8),
    ("everything", "none", USUAL): (0.5, 0.8),
    ("everything", "none", MOST): (0.2, 0.3),
    ("purifier (full gradient)", "purifier", USUAL): (0.8, 0.8),
    ("purifier (full gradient)", "purifier", MOST): (0.4, 0.3),
    ("purifier + prompts", "both", USUAL): (0.99, 0.6),
    ("purifier + prompts", "both", MOST): (0.99, 0.6),
}


@pytest.fixture
def told(monkeypatch):
    """Write the finding from these numbers, some of them changed."""

    def tell(changed=(), without=(), by_name=()):
        rows = []
        left = {cell: own for cell, own in (LEFT | dict(changed)).items() if cell not in without}
        for number, (cell, (quality, alike)) in enumerate(left.items()):
            for person in range(6):
                spread = 0.001 * (number + 1) * (-1) ** person  # of mean 0 over the six

                scores = {"quality": quality, "ims_missing": alike, "texture": 1.0}
                scores |= {"coarse_texture": 2.0, "apart": 1.0, "intact": 0.9, "loss": 0.1}
                place = {"condition": adaptive.name(cell), "subject": f"s{person}", "seed": 0}
                scores = {name: value + spread for name, value in scores.items()}
                rows.append(place | {"sheet": "instance"} | scores)
                if cell in by_name:
                    further = {"sheet": "plain", "apart": 1 + by_name[cell] + spread}
                    rows.append(place | scores | {"ims_missing": 0.6 + 0.1 * person} | further)
        asked = adaptive.contrasts(load_profile("mini"))
        measured = Measurement.of("adaptive", pd.DataFrame(rows), contrasts=tuple(asked))
        monkeypatch.setattr(withstanding, "measurement", lambda: summary_of(measured))
        return withstanding.withstanding_finding()

    return tell


def test_a_defence_that_loses_nothing_withstands(told):
    verdict, values = told()
    assert verdict == "yes" and not values["here"] and not values["there"]
    assert values["purified"] == pytest.approx(0.58, abs=0.02)
    assert values["blind"] < 0.03 and values["whole"] < 0.02
    assert values["alike"] - values["alike_whole"] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(("alike", "dear"), [(0.6, True), (0.78, False), (0.83, False)])
def test_a_defence_is_dear_where_it_costs_clean_photos_their_likeness(told, alike, dear):
    """Three hundredths are not worth saying."""
    _, values = told({("clean", "both", "0/255"): (0.99, alike)})
    assert values["dear"] == dear


def test_likeness_lost_at_the_largest_budget_is_said(told):
    verdict, values = told({("purifier + prompts", "both", MOST): (0.99, 0.2)})
    assert verdict == "partly" and "identity match falls by 0.4" in values["there"]
    assert not values["here"] and values["pixels"] == 32


def test_whether_the_knowledge_takes_the_likeness_is_said(told):
    knowing = {("purifier + prompts", "both", MOST): (0.99, 0.2)}
    _, values = told(knowing | {("nothing", "both", MOST): (0.99, 0.2)})
    assert values["unclear"] and values["blind_alike"] == pytest.approx(0.4, abs=0.02)
    _, values = told(knowing | {("nothing", "both", MOST): (0.99, 0.6)})
    assert not values["unclear"]
    assert not values["unsure"], "nobody was asked for by the name alone"
    asked = {("clean", "both", "0/255"): 0.0, ("purifier + prompts", "both", MOST): 1.2}
    _, values = told(knowing, by_name=asked)
    assert values["unsure"] and values["named_apart"] == pytest.approx(1.2, abs=0.02)
    assert not told(by_name=asked)[1]["unsure"], "no likeness is lost"


def test_quality_lost_at_the_usual_budget_breaks_it(told):
    verdict, values = told({("purifier + prompts", "both", USUAL): (0.7, 0.6)})
    assert verdict == "no" and "quality falls by 0.29" in values["here"]


def test_a_loss_of_no_size_breaks_nothing(told):
    """It is beyond chance, and nobody would see it."""
    verdict, values = told({("purifier + prompts", "both", USUAL): (0.96, 0.6)})
    row = withstanding.verdict_of(withstanding.measurement(), "quality", "both", USUAL)
    assert row["verdict"] == "confirmed" and abs(row["mean"]) < withstanding.DEAR
    assert verdict == "yes" and not values["here"]


def test_what_was_not_measured_is_open(told):
    for cell in (("purifier + prompts", "both", USUAL), ("nothing", "purifier", MOST)):
        assert told(without=[cell])[0] == "open"
    verdict, values = told(without=[("purifier + prompts", "both", MOST)])
    assert verdict == "yes" and values["pixels"] == 16 and not values["there"]


def test_curves_begin_at_clean_pictures_and_name_what_they_show(told):
    told()
    table = withstanding.budgets()
    assert set(table["panel"]) == set(withstanding.PANELS.values())
    whole = table[table["defence"] == withstanding.DEFENCES[withstanding.WHOLE]]
    knowing = whole[whole["panel"] == withstanding.PANELS["ims_missing", True]]
    assert list(knowing["pixels"]) == [0, 16, 32]
    assert knowing["mean"].tolist() == pytest.approx([0.6, 0.6, 0.6], abs=0.02)


def test_without_a_defence_both_attackers_are_the_one_who_knows_nothing(told):
    told({("nothing", "none", USUAL): (0.4, 0.7)})
    table = withstanding.budgets()
    bare = table[table["defence"] == withstanding.DEFENCES[withstanding.BARE]]
    for (score, _), panel in withstanding.PANELS.items():
        own = bare[bare["panel"] == panel].set_index("pixels")["mean"]
        expected = {"quality": 0.4, "ims_missing": 0.7}[score]
        assert own[16] == pytest.approx(expected, abs=0.02), "not that of who expects a defence"


def test_the_axis_of_the_curves_begins_at_zero_or_where_an_interval_ends(told):
    told()
    table = withstanding.budgets()
    for low, bottom in ((0.1, 0.0), (-0.3, -0.3)):
        figure = budget_curves(table.assign(low=low))
        assert {ax.get_ylim()[0] for ax in figure.axes} == {bottom}
        bars = figure.axes[0].collections[0].get_segments()
        assert all(bar[:, 1].min() == low for bar in bars)


def test_the_table_has_the_usual_and_the_largest_budget_and_the_others_a_table_of_their_own(
    told, monkeypatch
):
    """Attackers of another purifier, and of sets of which a part stays clean."""
    told(
        {
            ("purifier + prompts", "both", "8/255"): (0.99, 0.6),
            ("nothing", "none", USUAL): (0.3, 0.7),
            ("clean", "jpeg", "0/255"): (0.9, 0.8),
            ("nothing", "jpeg", USUAL): (0.5, 0.8),
            ("purifier (BPDA)", "jpeg", USUAL): (0.2, 0.8),
            ("nothing", "none", USUAL, "50% clean"): (0.7, 0.8),
        }
    )
    kept = withstanding.measurement()
    assert withstanding.measured_budgets(kept) == ["8/255", USUAL, MOST]
    monkeypatch.setattr(pages, "summary", lambda name: kept)
    heading, *_ = pages.adaptive_table().splitlines()
    there = [eps for eps in ("4/255", "8/255", USUAL, MOST) if f"quality, {eps}" in heading]
    assert there == [USUAL, MOST]
    assert [f"{title}, {USUAL}" in heading for title, _ in pages.HARM_COLUMNS.values()] == [
        True
    ] * 4
    assert "jpeg" not in pages.adaptive_table().lower()
    rows = pages.further_attackers_table().splitlines()[2:]
    assert len(rows) == 3 and rows[0].startswith("| JPEG | nothing | -0.4")
    assert rows[1].startswith("| JPEG | purifier (BPDA) | -0.7") and "| -0.3" in rows[1]
    assert rows[2].startswith("| no defence, 50% clean | nothing | -0.28")


def test_contrasts_are_read_by_who_attacks_and_what_defends():
    assert withstanding.plain(adaptive.harm_to("nothing", "both", "quality", "16/255")) == (
        "blind, purifier + CDL, 16/255: harm to quality"
    )
    knowing = adaptive.gain(adaptive.FULL, "purifier", "identity", "32/255")
    assert withstanding.plain(knowing) == "knowing, purifier, 32/255: gain in identity"
    more = adaptive.harm_to("everything", "both, held", "quality", "16/255", "25% clean")
    assert withstanding.plain(more).startswith(
        "knows everything, purifier + CDL, words held, 16/255, 25% clean"
    )
    assert withstanding.plain("another") == "another"


def test_a_notebooks_tables_are_the_verdicts(tmp_path):
    larger = withstanding.measurement()
    table = attackers.harms(larger)
    assert [row[:3] for row in table.rows[:2]] == [
        ("purifier", "blind", "32/255"),
        ("purifier", "knowing", "16/255"),
    ]
    row = withstanding.verdict_of(larger, "ims_missing", "both", "32/255")
    assert f"{row['mean']:+.2f}" in table.rows[-1][3] and table.rows[-1][3].startswith("**")
    assert not table.rows[-1][4].startswith("**"), "a loss of quality that is none at two digits"
    seen = attackers.visibility(larger, "16/255")
    assert [row[:2] for row in seen.rows if row[1] == "16/255"] == [
        ("blind", "16/255"),
        ("knowing, text frozen", "16/255"),
    ]
    assert len(seen.marked) == 2 and len({row[:2] for row in seen.rows}) == len(seen.rows)
