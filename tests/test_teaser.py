"""The picture of four people shows cells of the argument, by name, and trains on nothing else."""

import pytest

from shortcut_nb.cells import OWN
from shortcut_nb.experiments.graph import graph_of
from shortcut_nb.experiments.questions import argument, open_experiment
from shortcut_nb.experiments.run import Choice
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.reporting import teaser
from shortcut_nb.store import Store

PEOPLE = ("mini:held-out/0", "mini:held-out/1")


@pytest.mark.slow
def test_a_row_for_each_person_and_a_column_for_each_treatment(tiny_lab, tmp_path):
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"))
    figure = teaser.teaser(pipeline, PEOPLE, n=2)
    axes = figure.axes
    assert len(axes) == len(PEOPLE) * len(teaser.HEADINGS)
    assert [ax.get_title() for ax in axes[: len(teaser.HEADINGS)]] == list(teaser.HEADINGS)
    assert [ax.get_ylabel() for ax in axes[:: len(teaser.HEADINGS)]] == ["1", "2"]
    shown = [ax.images[0].get_array() for ax in axes]
    subject = tiny_lab.subject(PEOPLE[1])
    cell = teaser.cell_of(argument.TREATED)
    first = pipeline.images(subject, cell)[0].permute(1, 2, 0)
    assert abs(shown[len(teaser.HEADINGS) + 1] - first.numpy()).max() < 1 / 255
    drawn = pipeline.samples(subject, cell, n=2)[0].permute(1, 2, 0)
    assert abs(shown[len(teaser.HEADINGS) + 3] - drawn.numpy()).max() < 1 / 255


def test_what_it_shows_was_made_for_the_question(tiny_lab, tmp_path):
    """The same cells, so that the same artefacts are read."""
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"))
    asked = open_experiment("argument", tiny_lab.profile)
    every = asked.axes["treatment"]
    # The tiny profile has no restorer, which CodeSR asks for.
    kept = {name: fields for name, fields in every.items() if name != argument.PAPERS}
    asked = asked.model_copy(update={"axes": asked.axes | {"treatment": kept}})
    graph = graph_of(asked, pipeline, Choice(subjects=PEOPLE[:1], seeds=(0,)))
    subject = tiny_lab.subject(PEOPLE[0])
    for treatment in teaser.COLUMNS:
        cell = teaser.cell_of(treatment)
        drawn = pipeline.sample(subject, cell, 0, OWN, 8)
        assert drawn.recipe.key in graph.nodes, treatment
