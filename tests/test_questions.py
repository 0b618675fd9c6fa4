"""Questions run: some cells of each, on tiny models, through the one runner."""

import re
from pathlib import Path

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.graph import Choice
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import names, open_experiment
from shortcut_nb.experiments.run import run
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.reporting.summary import summary_of
from shortcut_nb.store import Store
from tests.tiny_profile import SHORT, tiny_profile

CELLS = {
    "adaptive": [
        "clean | jpeg | 0/255", "nothing | jpeg | 16/255", "purifier (BPDA) | jpeg | 16/255",
        "everything, targeted | both, held | 16/255", "nothing | none | 16/255",
        "nothing | none | 16/255 | 50% clean",
    ],
    "decoupling": ["protected 16/255 | plain", "protected 16/255 | cdl", "clean | negative pairs"],
    "words": [f"{how} | protected 16/255" for how in
              ("plain, frozen", "cdl, frozen", "cdl, 1/10 rate", "noise prior, frozen")],
    "purification": ["none | none", "aspl | none", "aspl | tvm"],
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    defaults = SHORT | {
        "adaptive-aspl": SHORT["aspl"], "cdl-dreambooth": SHORT["dreambooth"],
    }  # fmt: skip
    profile = tiny_profile(tmp_path_factory.mktemp("tiny"), defaults=defaults)
    return Lab(profile, "cpu", torch.float32)


@pytest.fixture(scope="module")
def pipeline(lab, tmp_path_factory):
    return Pipeline(lab, Store(tmp_path_factory.mktemp("store")))


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_question_runs(name, lab, pipeline):
    question = open_experiment(name, lab.profile)
    chosen = {cell: question.all_cells()[cell][0] for cell in CELLS[name]}
    few = question.only(CELLS[name])
    result = run(few, pipeline, executor_of("serial", pipeline), Choice(count=2, seeds=(0,), n=2))
    assert not result.failures, result.failures
    sheets = {cell: set(question.sheets | of.sheets) for cell, of in chosen.items()}
    seen = result.frame.groupby("condition")["sheet"].agg(set).to_dict()
    assert seen == sheets
    answer = summary_of(Measurement.of(name, result.frame, contrasts=question.contrasts))
    judged = answer.verdicts[answer.verdicts["verdict"] != "not measured"]
    assert len(judged) >= 2 and (judged["n"] == 2).all()


@pytest.mark.parametrize("name", ["words", "purification"])
def test_a_part_of_a_question_has_its_cells_and_contrasts(name, lab):
    question = open_experiment(name, lab.profile)  # cells by name, and axes that are crossed
    part = question.only(CELLS[name], eps="4/255")
    assert list(part.all_cells()) == CELLS[name]
    for cell, (own, _) in part.all_cells().items():
        assert own == question.all_cells()[cell][0].model_copy(update={"eps": "4/255"})
    assert (part.contrasts, part.sheets) == (question.contrasts, question.sheets)
    assert part.only(part.cells) == part
    with pytest.raises(UserError, match="no cell 'aspl'; the nearest are"):
        question.only(["aspl"])


def test_some_pictures_of_a_set_stay_clean(lab, pipeline):
    subject = lab.subject(lab.profile.subjects[0])
    question = open_experiment("adaptive", lab.profile)
    cells = {name: cell for name, (cell, _) in question.all_cells().items()}
    whole = pipeline.images(subject, cells["nothing | none | 16/255"])
    for share, first in ((25, 1), (50, 2), (75, 3)):
        mixed = pipeline.images(subject, cells[f"nothing | none | 16/255 | {share}% clean"])
        assert torch.equal(mixed[:first], subject.b[:first])
        assert torch.equal(mixed[first:], whole[first:])
    assert (
        pipeline.changes(subject, cells["nothing | none | 16/255 | 50% clean"])["attack_seconds"]
        == pipeline.changes(subject, cells["nothing | none | 16/255"])["attack_seconds"]
    )


def test_make_results_measures_every_question():
    text = (Path(__file__).parent.parent / "Makefile").read_text("utf-8").replace("\\\n", " ")
    (listed,) = re.findall(r"^QUESTIONS := (.*)$", text, re.MULTILINE)
    assert sorted(listed.split()) == names()
