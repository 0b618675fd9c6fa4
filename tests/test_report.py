"""Reports say what was measured, whole and offline, from known effects."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from typer.testing import CliRunner

from shortcut_nb.cli import app
from shortcut_nb.errors import CannotRead, UserError
from shortcut_nb.experiments.contrasts import Contrast, judge
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.table_files import read_table
from shortcut_nb.reporting.charts import all_charts, bars, defences, matrix
from shortcut_nb.reporting.report_page import html_of, markdown_of, page_of, shown_cell, write_page
from shortcut_nb.reporting.sources import report_of
from shortcut_nb.reporting.tables import all_tables, digits_for, number, probability, table_of
from shortcut_nb.results import PACKAGE, available

from .frames import benchmark_frame

PLAIN, CLEAN = "aspl | none | plain", "none | none | plain"
BOTH = "aspl | restorer | cdl"
CONTRASTS = (
    Contrast("both give quality back", "quality", {BOTH: 1, PLAIN: -1}, primary=True),
    Contrast("ASPL lowers quality", "quality", {PLAIN: 1, CLEAN: -1}, expect="-"),
    Contrast("ASPL raises <quality>", "quality", {PLAIN: 1, CLEAN: -1}),
    Contrast("Glaze harms", "quality", {"glaze": 1, CLEAN: -1}, expect="-"),
)


@pytest.fixture(scope="module")
def pictures():
    return benchmark_frame()


@pytest.fixture(scope="module")
def measured(pictures):
    return Measurement.of(
        "benchmark", pictures, contrasts=CONTRASTS, question="Which defence withstands?",
        failures=("train glaze: out of memory",),
    )  # fmt: skip


def test_verdicts_of_means_are_those_of_pictures(pictures, measured):
    whole = judge(pictures, CONTRASTS, strict=False)
    pd.testing.assert_frame_equal(measured.verdicts(), whole, rtol=1e-9)
    assert list(whole["verdict"]) == ["confirmed", "confirmed", "refuted", "not measured"]


def test_what_is_written_is_read_and_judged_the_same(measured, tmp_path):
    path = measured.write(tmp_path)
    again = Measurement.read("benchmark", folder=tmp_path)
    assert path.name == "benchmark.json" and path.stat().st_size < 150_000
    assert again.contrasts == CONTRASTS and again.failures == measured.failures
    assert (again.axes, again.samples, again.question) == (
        measured.axes, 3, "Which defence withstands?"
    )  # fmt: skip
    pd.testing.assert_frame_equal(again.verdicts(), measured.verdicts(), rtol=1e-4)


def test_means_are_over_people_with_students_interval(pictures, measured):
    means = measured.means(["quality"], sheet="instance")
    row = means[(means["attack"] == "aspl") & (means["purifier"] == "jpeg")].iloc[1]
    own = pictures[(pictures["condition"] == "aspl | jpeg | cdl")]
    own = own[own["sheet"] == "instance"]
    each = own.groupby("subject")["quality"].mean()
    low, high = ttest_1samp(each, 0).confidence_interval()
    assert row["prompts"] == "cdl" and row["n"] == 6
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((each.mean(), low, high))


def test_recovery_is_a_difference_within_a_person(measured):
    rise = measured.rise_over("quality", {"purifier": "none", "prompts": "plain"}, ["attack"])
    rise = rise.set_index(["attack", "purifier", "prompts"])
    assert rise.loc[("aspl", "restorer", "plain"), "mean"] == pytest.approx(0.9 * 0.35, abs=0.02)
    assert rise.loc[("aspl", "none", "plain"), ["mean", "low", "high"]].tolist() == [0, 0, 0]
    width = rise["high"] - rise["low"]
    assert width.max() < 0.1  # people differ by more than that


def test_the_front_has_what_nothing_beats(measured):
    (chart,) = defences(measured)
    table = chart.data
    own = table[table["attack"] == "aspl"].set_index(["purifier", "prompts"])["front"]
    assert own[("restorer", "cdl")] and own[("none", "cdl")] and own[("jpeg", "cdl")]
    assert not own[("none", "plain")] and not own[("restorer", "plain")]
    assert "none" not in set(table["attack"])  # clean pictures need no defence


def test_an_attack_that_met_no_defence_is_left_out(pictures):
    bare = (pictures["attack"] == "metacloak") & (pictures["condition"] != NOTHING)
    (chart,) = defences(Measurement.of("x", pictures[~bare]))
    assert set(chart.data["panel"]) == {"random-signs", "aspl"}


def test_the_matrix_has_a_field_for_every_attack_and_defence(measured):
    (chart,) = matrix(measured)
    fields = chart.data.set_index(["attack", "defence"])["mean"]
    assert len(fields) == len(chart.figure.axes[0].texts) == 4 * 3 * 2
    own = measured.means(["quality"], sheet="instance").set_index(
        ["attack", "purifier", "prompts"]
    )["mean"]
    assert fields["aspl", "jpeg | cdl"] == own["aspl", "jpeg", "cdl"]


def test_without_attacks_there_is_no_matrix(pictures):
    assert not list(matrix(Measurement.of("x", pictures[pictures["attack"] == "aspl"])))
    plain = (pictures["purifier"] == "none") & (pictures["prompts"] == "plain")
    assert not list(matrix(Measurement.of("x", pictures[plain])))


def test_an_axis_that_others_tell_apart_does_not_vary(pictures):
    named = pictures.assign(treatment=pictures["attack"] + pictures["purifier"])
    assert Measurement.of("x", named).varying == ["attack", "purifier", "prompts"]
    alone = pictures[pictures["condition"] == NOTHING]
    assert Measurement.of("x", alone).varying == ["condition"]


def test_a_matrix_too_large_for_colours_has_bars_by_attack():
    rows = [
        {"condition": f"{attack} | {purifier}", "attack": attack, "purifier": purifier,
         "subject": who, "quality": 0.1 * number + 0.01 * len(who)}
        for attack in ("none", "aspl", "glaze")
        for number, purifier in enumerate(["none", "jpeg", "tvm", "vae", "sr", "median", "resize",
                                           "gaussian", "quantise", "restorer"])
        for who in ("a", "bb", "ccc")
    ]  # fmt: skip
    (chart,) = bars(Measurement.of("large", pd.DataFrame(rows)))
    panels = {ax.get_title(): ax for ax in chart.figure.axes if ax.get_title()}
    assert list(panels) == ["none", "aspl", "glaze"]
    assert [text.get_text() for text in panels["none"].get_yticklabels()][:2] == ["none", "jpeg"]
    for ax in panels.values():
        dots = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "o"]
        assert dots == pytest.approx([0.1 * number + 0.02 for number in range(10)])


def test_a_defence_looks_the_same_in_every_panel_and_the_legend_names_it(measured):
    (chart,) = defences(measured)
    (legend,) = chart.figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert set(chart.data["label"]) <= set(names) and "no other is better" in names
    colors = [dot.get_facecolor()[0].tolist() for ax in chart.figure.axes for dot in ax.collections]
    assert len({tuple(color) for color in colors}) == chart.data["label"].nunique()


def test_without_a_purifier_there_is_no_chart_of_defences(pictures):
    alone = pictures[pictures["purifier"] == "none"]
    assert not list(defences(Measurement.of("x", alone)))


NOTHING = "metacloak | none | plain"


class Reader(HTMLParser):
    """Addresses, cells and marked rows of a page."""

    def __init__(self):
        super().__init__()
        self.addresses, self.cells, self.marked, self.images = [], 0, 0, []

    def handle_starttag(self, tag, attrs):
        about = dict(attrs)
        self.addresses += [about[key] for key in ("src", "href") if key in about]
        self.cells += tag == "td"
        self.marked += tag == "tr" and about.get("class") == "mark"
        self.images += [about["alt"]] if tag == "img" else []


def test_the_page_is_whole_and_needs_no_network(measured):
    text = html_of(page_of(measured))
    reader = Reader()
    reader.feed(text)
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert not re.search(r"https?://|@import|url\(", text)
    assert reader.cells > 24 * 5 and reader.marked >= 3 and all(reader.images)
    assert "ASPL raises &lt;quality&gt;" in text and "ASPL raises <quality>" not in text
    assert "out of memory" in text and "Which defence withstands?" in text
    inside = next(a for a in reader.addresses if a.startswith("data:text/csv"))
    table = base64.b64decode(inside.partition(",")[2]).decode()
    assert table.startswith("contrast,metric,") and "both give quality back" in table


def test_files_beside_the_page_hold_the_numbers(measured, tmp_path):
    path = write_page(page_of(measured), tmp_path, measured.frame)
    assert path == tmp_path / "benchmark.html"
    text = (tmp_path / "benchmark.md").read_text()
    for image in re.findall(r"\]\((figures/.*?)\)", text):
        assert (tmp_path / image).read_bytes().startswith(b"\x89PNG"), image
    kept = pd.read_csv(tmp_path / "data" / "benchmark.csv")
    np.testing.assert_allclose(kept["quality"], measured.frame["quality"], rtol=1e-5)
    assert {p.stem for p in (tmp_path / "data").glob("*.csv")} >= {"verdicts", "scores_instance"}


def test_markdown_marks_the_primary_row_and_keeps_its_columns(measured):
    text = markdown_of(page_of(measured))
    (line,) = [line for line in text.splitlines() if "both give quality back" in line]
    assert line.startswith("| **both give quality back** |") and "**confirmed**" in line
    for table in all_tables(measured):
        lines = table.markdown().splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, table.name


def test_every_chart_has_words_and_numbers(measured):
    for chart in all_charts(measured):
        assert len(chart.alt) > 40 and len(chart.data) > 0, chart.name
    names = [chart.name for chart in all_charts(measured)]
    assert len(names) == len(set(names)) and "defences" in names and "bars_quality" in names


def test_digits_follow_the_interval():
    assert digits_for([0.4], [0.5], [0.45]) == 2
    assert digits_for([10], [70], [40]) == 0
    assert digits_for([np.nan], [np.nan], [14.0]) == 1
    assert digits_for([1], [1], [1]) == 2
    assert number(0.4, 0.3, 0.5, 2, sign=True) == "+0.40 [+0.30, +0.50]"
    assert number(float("nan"), 0, 1, 2) == "" and number(3, np.nan, np.nan, 0) == "3"
    assert number(-0.0004, -0.002, 0.001, 2) == "0.00 [0.00, 0.00]"
    assert probability(0.0004) == "< 0.001" and probability(float("nan")) == ""


def test_cells_are_shown_safely():
    assert (shown_cell("refuted")) == '<td><span class="chip refuted">✗ refuted</span></td>'
    assert "&lt;b&gt;" in shown_cell("<b>") and "<b>" not in shown_cell("<b>")
    assert 'class="ends">[0.1, 0.3]' in shown_cell("0.2 [0.1, 0.3]")


QUICK = "intervention"  # the others are the same code on more rows
SHIPPED = [
    pytest.param(name, marks=() if name == QUICK else pytest.mark.slow)
    for name in available(folder=PACKAGE / "mini")
]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_result_has_a_report(name, tmp_path):
    page, frame = report_of(name)
    assert page.tables and all(table.rows for table in page.tables)
    for table in page.tables:
        assert len({len(row) for row in table.rows}) == 1 == len({len(table.header)}), table.name
        assert not re.search(r"\bnan\b|None", table.markdown())
    assert len(frame)
    assert write_page(page, tmp_path).stat().st_size > 5000


def test_the_command_reports_a_file_and_a_kept_measurement(
    pictures, measured, tmp_path, monkeypatch
):
    pictures.to_csv(tmp_path / "mine.csv", index=False)
    words = ["report", str(tmp_path / "mine.csv"), "--out"]
    done = CliRunner().invoke(app, [*words, str(tmp_path)])
    assert done.exit_code == 2 and "holds files already (mine.csv)" in done.output.replace(
        "\n", " "
    )
    done = CliRunner().invoke(app, [*words, str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    assert "scores_class" in (tmp_path / "a" / "mine.html").read_text()
    (tmp_path / "a" / "data" / "own.txt").write_text("own")
    (tmp_path / "a" / "figures" / "stale.png").write_text("own")
    before = {path: path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert CliRunner().invoke(app, [*words, str(tmp_path / "a")]).exit_code == 2
    assert all(path.read_bytes() == content for path, content in before.items())
    done = CliRunner().invoke(app, [*words, str(tmp_path / "a"), "--force"])
    assert done.exit_code == 0 and set(before) == {
        path for path in (tmp_path / "a").rglob("*") if path.is_file()
    }
    assert (tmp_path / "a" / "data" / "own.txt").read_text() == "own"
    monkeypatch.setenv("SHORTCUT_NB_RESULTS", str(tmp_path / "kept"))
    measured.write()
    done = CliRunner().invoke(app, ["report", "benchmark", "--out", str(tmp_path / "b")])
    assert done.exit_code == 0 and (tmp_path / "b" / "benchmark.md").is_file()


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "expected a CSV or Parquet file; there is none at"),
        ("a,b\n1,2\n", "expected a column 'condition' in the frame; got a, b"),
        ("condition,subject,quality\n", "the frame has no rows"),
        ("condition,subject\nclean,a\n", "no column of numbers"),
    ],
)
def test_a_file_that_is_no_frame_is_one_line(content, words, tmp_path):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_text(content)
    done = CliRunner().invoke(app, ["report", str(path)])
    assert done.exit_code == 2 and words in done.output.replace("\n", " ")


def test_an_unknown_name_says_what_there_is(tmp_path):
    done = CliRunner().invoke(app, ["report", "storry"])
    assert done.exit_code == 2 and "there is no result 'storry'" in done.output.replace("\n", " ")
    (tmp_path / "rows.json").write_text('{"rows": []}')
    with pytest.raises(CannotRead, match="no frame of measurements"):
        Measurement.read("rows", folder=tmp_path)
    with pytest.raises(UserError, match="ending in .csv or .parquet"):
        read_table(__file__)


def test_a_frame_of_one_axis_is_reported_by_condition(pictures):
    some = pictures[(pictures["purifier"] == "none") & (pictures["prompts"] == "plain")]
    lean = some.drop(columns=["attack", "purifier", "prompts", "eps", "trainer", "seed", "sheet"])
    measured = Measurement.of("lean", lean)
    assert measured.varying == ["condition"] and measured.frame["seed"].unique().tolist() == [0]
    assert len(page_of(measured).tables[0].rows) == 4


def test_every_table_is_parquet_too(measured, tmp_path):
    write_page(page_of(measured), tmp_path, measured.frame)
    path = tmp_path / "data" / "benchmark.parquet"
    pd.testing.assert_frame_equal(read_table(path), measured.frame, check_dtype=False)
    tables = {file.stem for file in path.parent.glob("*.csv")}
    assert len(tables) > 2 and {file.stem for file in path.parent.glob("*.parquet")} == tables


WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from pathlib import Path
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.table_files import read_table
from shortcut_nb.reporting.report_page import page_of, write_page
measured, out = Measurement.read("identifier"), Path(sys.argv[1])
write_page(page_of(measured), out, measured.frame)
path = out / "there.parquet"
path.write_bytes(b"PAR1")
try:
    read_table(path)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_pyarrow_there_is_csv_alone(tmp_path):
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'shortcut-nb[parquet]'" in done.stdout
    assert (tmp_path / "data" / "identifier.csv").is_file()
    assert not list((tmp_path / "data").glob("*.parquet"))


def test_columns_of_a_frame_are_read_with_their_intervals():
    frame = pd.DataFrame(
        {"who": ["a", "b"], "gain": [0.123, float("nan")], "gain_low": [0.1, 0.0],
         "gain_high": [0.2, 0.0], "psnr": [30.04, 25.0], "n": [3, 4]}
    )  # fmt: skip
    shown = table_of(
        frame, {"who": "attacker", "gain": "gain", "psnr": "PSNR (dB)", "n": "people"},
        "What it gains", marked=frame["who"] == "a", note="Of no one.", digits={"psnr": 1},
    )  # fmt: skip
    assert shown.rows == (("a", "0.12 [0.10, 0.20]", "30.0", "3"), ("b", "", "25.0", "4"))
    text = shown._repr_mimebundle_()["text/markdown"]
    assert "| **a** | **0.12 [0.10, 0.20]** |" in text
    assert text.startswith("*What it gains*") and text.endswith("Of no one.")
    with pytest.raises(KeyError, match="loss"):
        table_of(frame, {"loss": "loss"}, "x")
