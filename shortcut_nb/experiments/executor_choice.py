"""Executors by name, and how many units each works at together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..errors import UserError
from ..pipeline import Pipeline
from ..weights import IN_MEMORY
from .executors import Executor, Processes, Ray, Serial
from .making import PipelineSpec, make_elsewhere, make_jobs

WORKERS = {"serial": 1, "processes": 2, "ray": None}
"""By executor, how many units it works at together unless it is told; None: as many as the cluster
has room for."""


def executor_of(
    executor: str,
    pipeline: Pipeline,
    workers: int | None = None,
    threads: int = 1,
    gpus: float = 0.0,
    address: str | None = None,
) -> Executor:
    """An executor that makes a pipeline's outputs.

    Args:
        executor: "serial" (in this process), "processes" or "ray".
        workers: how many units at a time; None is :data:`WORKERS`.
        threads: of torch, in each process. Numbers are the same with any executor as long as it is.
        gpus, address: see :class:`.executors.Ray`.

    Raises:
        UserError: an unknown name, an argument that is another executor's, or Ray is not there.
    """
    check_executor(executor, workers, gpus, address)
    if executor == "serial":
        return Serial(partial(make_jobs, pipeline), threads)
    if pipeline.lab.profile.diffusion.id.startswith(IN_MEMORY):
        raise UserError(
            f"a model in memory cannot be opened in another process: use the executor serial, not "
            f"{executor}, or save the pipeline and name its folder in a profile"
        )
    spec = PipelineSpec.of(pipeline)
    if workers is None:
        workers = default_workers(executor)
    if executor == "processes":
        assert workers is not None
        return Processes(partial(make_elsewhere, spec), workers, threads)
    spec = replace(spec, device=pipeline.lab.device.type)  # Ray shows a worker its own cards alone
    return Ray(partial(make_elsewhere, spec), workers, gpus, address=address, threads=threads)


def default_workers(executor: str) -> int | None:
    """How many units an executor works at together unless it is told; see :data:`WORKERS`.

    Raises:
        UserError: an unknown name.
    """
    if executor not in WORKERS:
        raise UserError(f"an executor is serial, processes or ray; got {executor!r}")
    return WORKERS[executor]


def check_executor(
    executor: str, workers: int | None = None, gpus: float = 0.0, address: str | None = None
) -> None:
    """Make sure that there is such an executor, and that it heeds what it is given.

    Args:
        workers, gpus, address: see :func:`executor_of`.

    Raises:
        UserError: it is none, or would pass over one of them.
    """
    usual = default_workers(executor)
    if executor != "ray" and (gpus or address is not None):
        argument = f"gpus={gpus:g}" if gpus else f"address={address}"
        raise UserError(f"{argument} is of executor=ray; got executor={executor}: give both")
    if workers is not None and workers < 1:
        raise UserError(f"workers must be at least 1; got {workers}")
    if usual == 1 and (workers or 1) > 1:
        raise UserError(
            f"executor=serial works at one thing at a time; got workers={workers}: give "
            "executor=processes with it"
        )
