"""Tables and findings of the pages are what the shipped files say."""

import re

import pytest

from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.mini.evaluate import BARS, FURTHER, WORDS
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import pages
from shortcut_nb.reporting.figures import FIGURES
from shortcut_nb.reporting.shipped import shipped
from shortcut_nb.reporting.summary import summary
from shortcut_nb.results import PACKAGE, available, read_result, write_result


@pytest.mark.parametrize(
    "page", pages.PAGES, ids=lambda page: page.relative_to(pages.ROOT).as_posix()
)
def test_the_pages_are_up_to_date(page):
    text = page.read_text("utf-8")
    fresh = pages.filled(text, pages.PAGES[page])
    assert fresh == text, "run python -m shortcut_nb.reporting.pages"


@pytest.mark.parametrize("name", available(folder=PACKAGE / "mini"))
def test_make_results_measures_again_what_ships(name):
    """The people and the samples of a question are those of its result: nothing is lost by it."""
    mini, kept = load_profile("mini"), Measurement.read(name)
    question = open_experiment(name, mini)
    assert set(question.people(mini)) == set(kept.coverage["subjects"])
    assert set(kept.coverage["seeds"]) <= set(question.seeds)
    assert question.n == kept.samples
    assert set(kept.frame["condition"]) <= set(question.all_cells())


def test_every_table_has_rows_of_one_width():
    tables = {
        name: table
        for page, parts in pages.PAGES.items()
        if page == pages.PAGE or page.parent == pages.FOLDER
        for name, table in parts.items()
        if not name.endswith("_command") and name != "seeds"  # a sentence
    }
    assert {"changes", "argument"} <= set(tables)
    for name, table in tables.items():
        lines = table().split("\n")
        assert len(lines) > 3, name
        assert len({line.count(" | ") for line in lines}) == 1, name
        assert not re.search(r"\bnan\b|None", table()), name


def test_a_table_says_what_its_file_says():
    judged = summary("story").verdicts
    rows = judged[judged["n"] > 0].to_dict("records")
    lines = pages.story_table().split("\n")
    assert len(rows) > 10
    for row in rows:
        claim = row["contrast"].rpartition(", ")[0]
        line = next(line for line in lines if line.startswith(f"| {claim} |"))
        assert f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" in line


def test_a_changed_number_is_written_anew():
    path = pages.FOLDER / "attacks.md"
    page = path.read_text("utf-8")
    spoilt = page.replace("| `advdm` |", "| `advdm` | 7 |", 1)
    assert spoilt != page and pages.filled(spoilt, pages.PAGES[path]) == page


def test_a_figure_has_its_own_words_on_every_page():
    path = pages.FOLDER / "attacks.md"
    page = path.read_text("utf-8")
    words = FIGURES["results_protection"].alt
    assert f"![{words}](../../figures/results_protection.png)" in page
    spoilt = page.replace(words, "something else")
    assert spoilt != page and pages.filled(spoilt, pages.PAGES[path]) == page
    linked = [
        page
        for page in (pages.README, *(pages.ROOT / "docs").rglob("*.md"))
        if any(
            found["name"] in FIGURES for found in pages.PICTURE.finditer(page.read_text("utf-8"))
        )
    ]
    assert set(linked) <= set(pages.PAGES)


def test_marks_and_tables_must_match():
    path = pages.FOLDER / "decoupling.md"
    page, parts = path.read_text("utf-8"), pages.PAGES[path]
    with pytest.raises(ValueError, match="marks for"):
        pages.filled(page.replace("<!-- /words -->", ""), parts)
    with pytest.raises(ValueError, match="before its"):
        pages.filled(page.replace("<!-- words -->", ""), parts)


def test_a_run_is_held_to_a_measurement_of_its_own_profile_budget_and_world(tmp_path, monkeypatch):
    kept = read_result("adaptive")
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    write_result("adaptive", kept)
    mini = load_profile("mini")
    own = shipped("adaptive", mini, eps="16/255", subject="mini:held-out/13")
    assert own.same and own.profile == "mini"
    assert own.heading == "measured on mini: 8 subjects, 1 seed"
    for other in (
        shipped("adaptive", load_profile("sd21"), eps="16/255"),
        shipped("adaptive", mini, eps="7/255"),
        shipped("adaptive", mini, subject="photos/of/a/person"),
        shipped("adaptive", mini.model_copy(update={"resolution": 32})),
    ):
        assert not other.same and other.profile == "mini" and dict(other) == dict(own)


def test_a_profile_with_a_result_of_its_own_is_shown_that(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path))
    content = {"eps": "11/255", "subjects": ["photos/anna"], "rows": []}
    write_result("adaptive", content, "sd21")
    result = shipped("adaptive", load_profile("sd21"), eps="11/255", subject="photos/bob")
    assert result.same and result.heading == "measured on sd21: 1 subject, 11/255"
    assert not shipped("adaptive", load_profile("sd21"), subject="mini:held-out/0").same


def test_every_bar_of_the_card_has_plain_words():
    assert set(WORDS) == {key for key, *_ in BARS + FURTHER}
    assert len(set(WORDS.values())) == len(WORDS)
