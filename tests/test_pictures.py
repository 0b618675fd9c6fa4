"""Pictures of the first page and of every attack show cells of questions, and say what they are."""

import json

import numpy as np
import pytest

from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import findings, gallery, pictures
from shortcut_nb.reporting.figures import FIGURES, FOLDER
from shortcut_nb.store import Store

ROOT = FOLDER.parent


def test_each_finding_has_a_picture_of_cells_that_were_measured():
    profile = load_profile("mini")
    assert list(pictures.PICTURES) == list(findings.NUMBERS)
    for picture in pictures.PICTURES.values():
        question = open_experiment(picture.question, profile)
        cells, frame = question.all_cells(), Measurement.read(picture.question).frame
        for condition, sheet in picture.rows.values():
            cell, _ = cells[condition]
            assert sheet is None or sheet in question.sheets | cell.sheets
            rows = frame[frame["condition"] == condition]
            assert question.people(profile)[0] in set(rows["subject"])
            assert sheet is None or sheet in set(rows["sheet"])


@pytest.mark.parametrize(
    ("name", "alt"),
    [
        *((pictures.file_of(name), each.alt) for name, each in pictures.PICTURES.items()),
        *gallery.ALTS.items(),
    ],
)
def test_what_is_shown_was_drawn_and_described(name, alt):
    kept = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert kept["alt"] == alt, "run make pictures"
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    showing = [page for page in pages if f"![{alt}](" in page.read_text("utf-8")]
    assert showing, f"{name} is shown nowhere"


def test_every_figure_of_the_pages_is_on_one():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    assert not [name for name in FIGURES if f"figures/{name}.png)" not in text]


def test_every_attack_is_in_the_gallery_with_its_family():
    cells = open_experiment("strength", load_profile("mini")).all_cells()
    families = {name: gallery.family_of(name) for name in cells}
    assert families.pop("clean") == gallery.UNTOUCHED
    assert families["sdst"] == families["sds"] and len(set(families.values())) > 3


@pytest.mark.slow
def test_a_picture_shows_the_first_samples_of_its_cells(tiny_lab, tmp_path):
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"))
    axes = pictures.drawn(pipeline, "shortcut").axes
    rows = pictures.PICTURES["shortcut"].rows
    assert [ax.get_ylabel() for ax in axes[:: pictures.COLUMNS]] == list(rows)
    question = open_experiment("argument", tiny_lab.profile)
    subject = tiny_lab.subject(question.people(tiny_lab.profile)[0])
    condition, sheet = list(rows.values())[1]
    cell, _ = question.all_cells()[condition]
    drawn = pipeline.samples(subject, cell, 0, question.sheets[sheet], question.n)
    shown = [ax.images[0].get_array() for ax in axes[pictures.COLUMNS :]]
    for picture, sample in zip(shown, drawn[: pictures.COLUMNS], strict=True):
        assert np.abs(picture - sample.permute(1, 2, 0).numpy()).max() < 1 / 255
