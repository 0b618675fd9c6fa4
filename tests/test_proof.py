"""Proofs of the engine: kills around what is kept, a cluster that loses a machine, ten thousand
cells, and what the harness costs."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import frame_of, graph_of
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.run import run
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.reporting.report_page import page_of, write_page
from shortcut_nb.store import Store
from shortcut_nb.store.recipe import STAGES
from tests.small_runs import manifests, measured_serially, plan, same

SMALL = Experiment(
    name="small", axes={"attack": ["none", "noise"], "purifier": ["none", "jpeg"]},
    base={"eps": "8/255"}, subjects=1, seeds=(0,), n=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tiny_lab, tmp_path_factory):
    """The small experiment, measured serially with one thread."""
    return measured_serially(SMALL, tiny_lab, tmp_path_factory.mktemp("store"))


def measure(content, store, stage, kept):
    """What a process does until it keeps an output of a stage; it is killed right before or after
    the rename that keeps it."""
    torch.set_num_threads(1)
    rename = Path.rename

    def renamed(path, target):
        last = Path(target).parent == store.root / stage
        if last and not kept:
            os.kill(os.getpid(), signal.SIGKILL)
        moved = rename(path, target)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return moved

    Path.rename = renamed
    pipeline = Pipeline(Lab(type(content).model_validate(content), "cpu", torch.float32), store)
    run(SMALL, pipeline, executor_of("serial", pipeline))


@pytest.mark.slow
def test_a_run_killed_around_every_rename_repeats_nothing(
    tiny_models, tiny_lab, measured, tmp_path
):
    """kill -9 before and after an output of each stage is kept: what was there stays as it is."""
    whole, frame = measured
    store, there = Store(tmp_path / "store"), {}
    stages = {entry.stage for entry in whole.store.ls()}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_proof"])
    for stage in (each for each in STAGES if each in stages):
        for kept in (False, True):
            process = context.Process(target=measure, args=(tiny_models, store, stage, kept))
            process.start()
            process.join()
            assert process.exitcode == -signal.SIGKILL, f"{stage}: not killed, or failed"
            now = manifests(store)
            assert there.items() <= now.items(), "something was made again, or lost"
            fresh = [entry for entry in store.ls() if entry.key not in there]
            assert kept == (stage in {entry.stage for entry in fresh})
            there = now
    pipeline = Pipeline(tiny_lab, store)
    same(run(SMALL, pipeline, executor_of("serial", pipeline)).frame, frame)
    assert there.items() <= manifests(store).items()
    store.prune()
    assert not list((store.root / "tmp").iterdir())


@pytest.mark.slow
def test_a_cluster_that_loses_a_machine_loses_nothing(tiny_lab, measured, tmp_path):
    """Three machines' worth of Ray on this one; one is killed while it works."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    _, frame = measured
    head = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    workers = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(2)]
    killed = []

    def kill_one(info):
        if info.step >= 2 and not killed:
            killed.append(info.about)
            cluster.remove_node(workers[0], allow_graceful=False)

    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"))
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        executor = executor_of("ray", pipeline)
        assert executor.slots == 3
        result = run(SMALL, pipeline, executor, on_step=kill_one)
        executor.close()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert killed and not result.failures and not result.skipped
    same(result.frame, frame)


def fill(store, graph, sources):
    """Keep scores for every cell of a graph, all the same: what matters is how many."""
    for node in graph.nodes.values():
        if node.recipe.stage == "probe":
            source = sources[node.recipe.params["probe"]]
            folder = store.folder(node.recipe)
            shutil.copytree(source.folder, folder)
            manifest = dict(source.manifest) | {"key": node.recipe.key} | node.recipe.fields
            (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_ten_thousand_kept_cells_are_planned_read_and_reported_in_seconds(
    tiny_lab, measured, tmp_path
):
    kept, _ = measured
    scores, changes = graph_of(SMALL, kept).rows[0].nodes
    sources = {"score": kept.make(scores), "changes": kept.make(changes)}
    qualities = {str(quality): {"purifying": {"quality": quality}} for quality in range(1, 96)}
    many = Experiment(
        name="many", axes={"purifying": qualities},
        base={"attack": "noise", "purifier": "jpeg", "eps": "8/255"},
        sheets={"instance": {}}, subjects=1, seeds=tuple(range(106)), n=2,
    )  # fmt: skip
    store = Store(tmp_path / "store")
    fill(store, graph_of(many, Pipeline(tiny_lab, store)), sources)
    pipeline = Pipeline(tiny_lab, store)
    started = time.process_time()  # of this process: others may take the machine's time
    assert plan(many, Pipeline(tiny_lab, store))["missing"].sum() == 0
    planned = time.process_time() - started
    frame = frame_of(graph_of(many, pipeline), pipeline)
    read = time.process_time() - started - planned
    Measurement.of("many", frame).write(tmp_path / "kept")
    measured = Measurement.read("many", folder=tmp_path / "kept")
    started = time.process_time()
    write_page(page_of(measured), tmp_path / "report", measured.frame)
    reported = time.process_time() - started
    print(f"plan {planned:.1f} s; frame {read:.1f} s; report {reported:.1f} s")
    assert len(frame) == 95 * 106 * 2 > 20_000
    assert planned <= 10 and read <= 10 and reported <= 10


def test_the_harness_costs_little(tiny_lab, tmp_path):
    """Keys, store and runner around outputs that take no time: milliseconds each."""
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "store"))
    graph = graph_of(SMALL, pipeline)
    nodes = [graph.nodes[key] for key in graph.missing]
    started = time.monotonic()
    for node in nodes:
        pipeline.store.make(node.recipe, lambda out: out.save_json("values", {"a": 1.0}))
    each = (time.monotonic() - started) / len(nodes)
    assert each < 0.1, f"{each:.3f} s an output"  # a cell has eight, and takes a minute or more
