"""One runner: any executor gives the same table, nothing twice, a failure stops only its own."""

import time

import pandas as pd
import pytest
import torch

from shortcut_nb.cells import Cell, Sheet
from shortcut_nb.diffusion import Diffusion
from shortcut_nb.experiments import executors
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import Choice, frame_of, graph_of
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.run import execute, run
from shortcut_nb.metrics.clean_distance import distance_to
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.progress import StepInfo
from shortcut_nb.reporting.report_page import page_of
from shortcut_nb.reporting.samples import kept_samples
from shortcut_nb.store import Store
from tests.light_work import sleep_or_die
from tests.small_runs import manifests, measured_serially, plan, same

SMALL = Experiment(
    name="small", axes={"attack": ["none", "noise", "advdm"], "purifier": ["none", "jpeg"]},
    base={"eps": "8/255"}, subjects=1, seeds=(0,), n=2,
)  # fmt: skip
STAGES = {"prior": 1, "protect": 2, "purify": 3, "train": 6, "sample": 12, "probe": 18}
# Class pictures and clean pictures have no seed.
SECOND_SEED = STAGES | {"prior": 0, "purify": 2, "probe": 16}


@pytest.fixture(scope="module")
def measured(tiny_lab, tmp_path_factory):
    """The small experiment, measured serially with one thread; its store."""
    return measured_serially(SMALL, tiny_lab, tmp_path_factory.mktemp("store"))


@pytest.fixture
def pipeline(tiny_lab, tmp_path):
    return Pipeline(tiny_lab, Store(tmp_path / "store"))


def test_a_frame_has_a_row_for_each_picture(measured):
    _, frame = measured
    assert len(frame) == 6 * 2 * 2
    assert set(frame["condition"]) == {
        f"{attack} | {purifier}" for attack in SMALL.axes["attack"] for purifier in ("none", "jpeg")
    }
    keys = ["condition", "attack", "purifier", "subject", "seed", "sheet", "image"]
    assert not frame[keys].duplicated().any()
    assert frame["quality"].between(0, 1).all() and frame["train_seconds"].gt(0).all()
    clean = frame["attack"] == "none"
    assert (frame.loc[clean, "attack_seconds"] == 0).all()
    assert (frame.loc[~clean, "attack_seconds"] > 0).all()
    assert (frame.loc[~clean & (frame["purifier"] == "none"), "linf"].round() == 8).all()


def test_a_plan_says_what_is_there_and_what_it_takes(measured, pipeline):
    kept, _ = measured
    before = plan(SMALL, pipeline).set_index("stage")
    assert before["missing"].to_dict() == STAGES and before["unknown"].to_dict() == STAGES
    after = plan(SMALL, kept).set_index("stage")
    assert after["missing"].sum() == 0 and after["seconds"].sum() == 0
    more = plan(SMALL, kept, Choice(seeds=(0, 1)), workers=2).set_index("stage")
    assert more["missing"].to_dict() == SECOND_SEED
    one = plan(SMALL, kept, Choice(seeds=(0, 1))).set_index("stage")
    assert (
        one["seconds"].sum() == pytest.approx(2 * more["seconds"].sum())
        and one.loc["train", "seconds"] > 0
    )


def test_a_plan_takes_no_attack_for_another(measured):
    """One may take a hundred times as long; what was never made is counted, not guessed."""
    kept, _ = measured
    new = SMALL.model_copy(update={"axes": {"attack": ["noise", "aspl"]}})
    after = plan(new, kept, Choice(seeds=(7,))).set_index("stage")
    assert after.loc["protect", ["missing", "unknown"]].tolist() == [2, 1]
    assert after.loc["train", "unknown"] == 0 and after.loc["train", "seconds"] > 0
    known = plan(new, kept, Choice(seeds=(7,), cells=("noise",))).set_index("stage")
    assert after.loc["protect", "seconds"] == known.loc["protect", "seconds"]


def test_nothing_is_made_twice(measured):
    pipeline, frame = measured
    before = manifests(pipeline.store)
    again = run(SMALL, pipeline, executor_of("serial", pipeline))
    pd.testing.assert_frame_equal(again.frame, frame)
    assert manifests(pipeline.store) == before


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"n": 3}, {"sample": 12, "probe": 12}),
        ({"sheets": {"other": Sheet(prompt="a drawing of {identifier}")}},
         {"sample": 6, "probe": 6}),
        ({"seeds": (1,)}, SECOND_SEED),
    ],
)  # fmt: skip
def test_more_samples_or_another_prompt_never_train_again(measured, change, stages):
    pipeline, _ = measured
    graph = graph_of(SMALL.model_copy(update=change), pipeline)
    counts = pd.Series([graph.nodes[key].recipe.stage for key in graph.missing]).value_counts()
    assert counts.to_dict() == {stage: count for stage, count in stages.items() if count}


def test_scores_alone_are_enough(measured, tiny_lab, tmp_path):
    """Weights, samples and pictures may be gone: a report reads what is scored."""
    pipeline, frame = measured
    kept = Store(tmp_path / "kept")
    pipeline.store.export(kept.root, "probe")
    other = Pipeline(tiny_lab, kept)
    assert plan(SMALL, other)["missing"].sum() == 0
    pd.testing.assert_frame_equal(frame_of(graph_of(SMALL, other), other), frame)


def test_a_damaged_score_is_measured_again(measured, tiny_lab, tmp_path):
    pipeline, frame = measured
    store = Store(tmp_path / "copy")
    pipeline.store.export(store.root)
    entry = next(iter(store.ls("probe")))
    (entry.folder / "values.json").write_text("{}")
    other = Pipeline(tiny_lab, store)
    same(run(SMALL, other, executor_of("serial", other)).frame, frame)
    assert all(problem is None for _, problem in store.verify())


def test_a_damaged_score_that_cannot_be_measured_again_is_a_failure(measured, tiny_lab, tmp_path):
    """Its samples are gone, and none can be written; the other rows are there."""
    pipeline, frame = measured
    store = Store(tmp_path / "copy")
    pipeline.store.export(store.root, "probe")
    other = Pipeline(tiny_lab, store)
    scores = graph_of(SMALL, other).rows[0].nodes[0]
    (store.get(scores.recipe).folder / "columns.json").write_text("{}")
    (store.root / "sample").write_text("in the way")
    result = run(SMALL, other, executor_of("serial", other))
    assert [failure.about for failure in result.failures] == [scores.about]
    assert store.failure(scores.recipe)["error"] == result.failures[0].error
    assert len(result.frame) == len(frame) - 2  # two samples a row


def test_a_failure_stops_only_what_needs_it(pipeline, measured):
    """Nothing can be purified, since a file is in the way; the other cells go on."""
    _, frame = measured
    pipeline.store.root.mkdir()
    (pipeline.store.root / "purify").write_text("in the way")
    result = run(SMALL, pipeline, executor_of("serial", pipeline))
    same(result.frame, frame[frame["purifier"] == "none"].reset_index(drop=True))
    assert [failure.stage for failure in result.failures] == ["purify"] * 3
    assert result.skipped == 3 + 6 + 6 + 3  # trainings, samples, scores, changes
    error = result.failures[0]
    assert "cannot be written" in error.error and "Traceback" in error.trace
    (pipeline.store.root / "purify").unlink()
    graph = graph_of(SMALL, pipeline)
    broken = [graph.nodes[failure.key].recipe for failure in result.failures]
    assert pipeline.store.failure(broken[0])["error"] == error.error
    same(run(SMALL, pipeline, executor_of("serial", pipeline)).frame, frame)
    assert not any(pipeline.store.failure(recipe) for recipe in broken)


def test_when_the_time_is_over_what_is_done_is_kept_and_the_rest_is_left(pipeline, measured):
    _, frame = measured
    total = sum(STAGES.values())
    none = run(SMALL, pipeline, executor_of("serial", pipeline), seconds=0)
    assert none.unfinished and none.skipped == total and none.frame.empty

    def stop_soon(info: StepInfo) -> None:
        if info.step >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SMALL, pipeline, executor_of("serial", pipeline), on_step=stop_soon)
    part = run(SMALL, pipeline, executor_of("serial", pipeline), seconds=0)
    assert part.unfinished and 0 < len(part.frame) < len(frame)
    same(part.frame, frame.head(len(part.frame)))
    whole = run(SMALL, pipeline, executor_of("serial", pipeline))
    assert not whole.unfinished
    same(whole.frame, frame)


@pytest.mark.slow
def test_time_that_is_over_is_told_beside_a_failure(pipeline):
    """With both, the frame is not all that could be made."""
    pipeline.store.root.mkdir()
    (pipeline.store.root / "purify").write_text("in the way")
    failed = run(SMALL, pipeline, executor_of("serial", pipeline))
    assert len(failed.failures) == 3 and not failed.unfinished
    first = failed.failures[0].about

    def wait(info: StepInfo) -> None:
        if info.about == first:
            time.sleep(2)

    both = run(SMALL, pipeline, executor_of("serial", pipeline), on_step=wait, seconds=2)
    assert [failure.about for failure in both.failures] == [first] and both.unfinished
    assert both.skipped == failed.skipped + 2  # the other two purifications


def test_a_group_that_fails_half_way_is_no_matter_of_time(tiny_lab, tmp_path):
    """The first sample of a training is there, the second cannot be kept: the first one's scores
    wait for the next run, and nobody is told that the time is over."""
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"), keep_trained=0.01)
    graph = graph_of(SMALL, pipeline)
    groups = {}
    for key in graph.missing:
        groups.setdefault(graph.nodes[key].group, []).append(key)
    first, second, *_ = next(keys for group, keys in groups.items() if group and len(keys) > 1)
    (pipeline.store.root / "locks" / f"{second}.lock").mkdir(parents=True)  # none can take it
    result = run(SMALL, pipeline, executor_of("serial", pipeline))
    assert [failure.key for failure in result.failures] == [second]
    assert pipeline.store.has(graph.nodes[first].recipe)
    assert result.skipped and not result.unfinished
    (pipeline.store.root / "locks" / f"{second}.lock").rmdir()
    whole = run(SMALL, pipeline, executor_of("serial", pipeline))
    assert not whole.failures and not whole.skipped and len(whole.frame) > len(result.frame)


def test_large_weights_are_not_kept_and_train_once_for_all_sheets(
    tiny_lab, measured, tmp_path, monkeypatch
):
    _, frame = measured
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"), keep_trained=0.01)
    graph = graph_of(SMALL, pipeline)
    stages = [graph.nodes[key].recipe.stage for key in graph.missing]
    assert stages.count("train") == 0 and stages.count("sample") == STAGES["sample"]
    trained, clone = [], Diffusion.clone
    monkeypatch.setattr(
        Diffusion, "clone", lambda *words, **more: trained.append(1) or clone(*words, **more)
    )
    result = run(SMALL, pipeline, executor_of("serial", pipeline))
    same(result.frame, frame)
    assert not list(pipeline.store.ls("train")) and len(trained) == STAGES["train"]


@pytest.mark.slow
def test_processes_give_the_same_table(measured, pipeline):
    _, frame = measured
    executor = executor_of("processes", pipeline, workers=2)
    try:
        result = run(SMALL, pipeline, executor)
    finally:
        executor.close()
    assert not result.failures
    same(result.frame, frame)


def end_all(executor, units, place):
    """How each unit ends, with as many at a time as the executor takes."""
    outcomes, waiting, running = {}, list(units), 0
    while waiting or running:
        while waiting and running < executor.slots:
            unit = waiting.pop(0)
            executor.submit(unit, (str(place / "log"), unit))
            running += 1
        unit, outcome = executor.next()
        outcomes[unit], running = outcome, running - 1
    executor.close()
    return outcomes


def check_ends(outcomes, death):
    assert [unit for unit in UNITS if not outcomes[unit].error] == ["a", "b", "c"]
    assert death in outcomes["die"].error and "\n" not in outcomes["die"].error
    assert outcomes["raise"].error == "ValueError: told so" and outcomes["raise"].trace


UNITS = ["a", "die", "b", "raise", "c"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_process_that_dies_is_blamed_alone(tmp_path, workers):
    pool = executors.Processes(sleep_or_die, workers, threads=None)
    check_ends(end_all(pool, UNITS, tmp_path), "died")


@pytest.mark.slow
def test_a_ray_worker_that_dies_is_tried_again_and_blamed_alone(tmp_path):
    pytest.importorskip("ray")
    cluster = executors.Ray(sleep_or_die, workers=2, retries=1, threads=None)
    assert cluster.slots == 2
    check_ends(end_all(cluster, UNITS, tmp_path), "WorkerCrashedError")
    tries = (tmp_path / "log").read_text().split()
    assert tries.count("die") == 2 and all(tries.count(unit) == 1 for unit in "abc")


def test_another_machine_with_other_models_is_refused(measured, pipeline):
    graph = graph_of(SMALL, pipeline)
    graph.jobs = {key: job.__class__(**(vars(job) | {"n": 5})) for key, job in graph.jobs.items()}
    failures = execute(graph, pipeline, executor_of("serial", pipeline)).failures
    assert failures and all("differ" in failure.error for failure in failures)


def test_a_report_finds_the_samples_that_the_store_has(measured, tmp_path):
    pipeline, frame = measured
    result = Measurement.of("small", frame, profile="tiny")
    samples = kept_samples(SMALL, pipeline, result)
    assert list(samples) == list(dict.fromkeys(frame["condition"]))
    cell = SMALL.all_cells()["advdm | jpeg"][0]
    subject = pipeline.lab.subject(frame["subject"].iloc[0])
    again = pipeline.make(pipeline.sample(subject, cell, 0, Sheet(), 2)).images("images")
    assert torch.equal(samples["advdm | jpeg"], again)
    empty = Pipeline(pipeline.lab, Store(tmp_path))
    assert kept_samples(SMALL, empty, result) == {} and not list(tmp_path.rglob("*.png"))
    assert page_of(result, samples).pictures[0].name == "samples"


def test_distance_to_clean_training_is_measured_where_it_is_asked_for(measured, tiny_lab, tmp_path):
    """Its reference, plain training on clean pictures, is made although no cell asks for it."""
    pipeline, frame = measured
    asked = SMALL.model_copy(update={"sample_probes": ("apart",), "axes": {"attack": ["advdm"]}})
    graph = graph_of(asked, Pipeline(tiny_lab, Store(tmp_path / "empty")))
    planned = [graph.nodes[key].about for key in graph.missing]
    assert sum(about.startswith("train") for about in planned) == 2
    before = set(manifests(pipeline.store))
    result = run(asked, pipeline, executor_of("serial", pipeline))
    assert not result.failures
    fresh = [entry for entry in pipeline.store.ls() if entry.key not in before]
    assert [entry.stage for entry in fresh] == ["probe", "probe"]
    subject, cell = tiny_lab.subject(frame.subject.iloc[0]), Cell(attack="advdm", eps="8/255")
    drawn = pipeline.samples(subject, cell, n=2)
    clean = pipeline.samples(subject, n=2)
    vectors, others = tiny_lab.identity(drawn).double(), tiny_lab.identity(clean).double()
    typical = (
        others[0] - others[1]
    ).norm()  # each reference is so far from the other, 0 from itself
    expected = [float((v - others).norm(dim=1).sum() / typical) for v in vectors]
    own = result.frame[result.frame.sheet == "instance"]
    assert own.apart.tolist() == pytest.approx(expected, rel=1e-5)


def test_clean_training_is_at_its_own_distance(measured):
    pipeline, _ = measured
    asked = SMALL.model_copy(update={"sample_probes": ("apart",), "axes": {"attack": ["none"]}})
    result = run(asked, pipeline, executor_of("serial", pipeline))
    own = result.frame[result.frame.sheet == "instance"]
    assert own.apart.mean() == pytest.approx(1.0, rel=1e-6)


def test_a_training_that_changes_nothing_to_speak_of_is_at_the_clean_ones_distance(tiny_lab):
    """Whether samples are the references or all but the references must not matter."""
    torch.manual_seed(0)
    references = torch.rand(4, 3, 32, 32) * 0.9
    nearly = references + 1e-5
    assert distance_to(tiny_lab.identity, references, references).mean() == pytest.approx(1.0)
    near = distance_to(tiny_lab.identity, nearly, references).mean()
    assert near == pytest.approx(1.0, rel=1e-2)
