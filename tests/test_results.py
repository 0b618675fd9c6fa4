"""The tables of docs/results.md are what the shipped files say."""

import re

import pytest

from shortcut_nb.experiments import results
from shortcut_nb.experiments.shipped import shipped


def test_the_page_is_up_to_date():
    page = results.PAGE.read_text("utf-8")
    fresh = results.filled(page)
    assert fresh == page, "run python -m shortcut_nb.experiments.results"


def test_every_table_has_rows_of_one_width():
    for name, table in results.TABLES.items():
        lines = table().split("\n")
        assert len(lines) > 3, name
        assert len({line.count(" | ") for line in lines}) == 1, name
        assert not re.search(r"\bnan\b|None", table()), name


def test_a_table_says_what_its_file_says():
    claims = shipped("story")["claims"]
    lines = results.story().split("\n")
    for claim in claims:
        line = next(line for line in lines if line.startswith(f"| {claim['claim']} |"))
        assert f"{claim['difference']:+.3f} [{claim['low']:+.3f}, {claim['high']:+.3f}]" in line


def test_a_changed_number_is_written_anew():
    page = results.PAGE.read_text("utf-8")
    spoilt = page.replace("| `aspl` |", "| `aspl` | 7 |", 1)
    assert spoilt != page and results.filled(spoilt) == page


def test_marks_and_tables_must_match():
    page = results.PAGE.read_text("utf-8")
    with pytest.raises(ValueError, match="marks for"):
        results.filled(page.replace("<!-- /words -->", ""))
    with pytest.raises(ValueError, match="before its"):
        results.filled(page.replace("<!-- words -->", ""))
