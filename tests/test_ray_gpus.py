"""Shares of a GPU on a Ray cluster. The GPU is only declared: no work here looks for one."""

import json

import pytest

from shortcut_nb.errors import UserError
from shortcut_nb.experiments.executors import Ray
from tests.light_work import meet

UNITS = "abc"


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=4, num_gpus=1, include_dashboard=False,
             log_to_driver=False, object_store_memory=80_000_000)  # fmt: skip
    yield ray
    ray.shutdown()


def at_once(spans):
    """How many of the spans overlap at most."""
    return max(sum(begun <= start < end for begun, end in spans) for start, _ in spans)


def test_overlaps_are_counted():
    assert at_once([(0, 1), (1, 2), (2, 3)]) == 1
    assert at_once([(0, 2), (1, 3), (2, 4)]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("share, together", [(0.5, 2), (0.25, 3)])
def test_as_many_units_run_as_the_gpu_has_shares(share, together, cluster, tmp_path):
    """Each waits for the others that have room beside it; Ray alone keeps the rest back."""
    executor = Ray(meet, len(UNITS), gpus=share, threads=None)
    assert executor.slots == 3
    for unit in UNITS:
        executor.submit(unit, (tmp_path, unit, together - 1))
    outcomes = dict(executor.next() for _ in UNITS)
    executor.close()
    assert not any(outcome.error for outcome in outcomes.values()), outcomes
    spans = [json.loads((tmp_path / f"{unit}.json").read_text()) for unit in UNITS]
    assert at_once(spans) == together


@pytest.mark.slow
def test_without_a_number_there_are_as_many_workers_as_shares(cluster):
    assert Ray(meet, gpus=0.5, threads=None).slots == 2
    assert Ray(meet, gpus=0.25, threads=None).slots == 4


@pytest.mark.slow
def test_a_unit_has_as_many_cpus_as_threads(cluster):
    assert Ray(meet, threads=2).slots == 2
    with pytest.raises(UserError, match="asks for 8 CPUs and the Ray cluster has 4"):
        Ray(meet, threads=8)
