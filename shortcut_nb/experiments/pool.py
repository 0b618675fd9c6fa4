"""Independent work in processes: one thread each, in order, and the first error stops all."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from ..lab import Lab
from ..progress import HEADLESS, headless

T = TypeVar("T")


def in_processes(
    work: Callable[..., T],
    tasks: Sequence[tuple[Any, ...]],
    *,
    workers: int = 2,
    label: str = "tasks",
    named: Callable[..., object] = lambda *task: task,
) -> list[T]:
    """``work(*task)`` for every task, in the order of the tasks.

    Args:
        work: a function of a module (it is sent by name), as are the values of tasks.
        workers: processes; 0 runs here.
        named: what a task is called in an error.

    Raises:
        RuntimeError: naming the first task that failed; what was running is finished and kept in
            the store, what waited is not begun.
    """
    if workers == 0:
        return [work(*task) for task in tasks]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool:
        waiting = {pool.submit(work, *task): task for task in tasks}
        bar = tqdm(total=len(tasks), desc=label, disable=headless())
        for done in as_completed(waiting):
            if error := done.exception():
                pool.shutdown(wait=False, cancel_futures=True)
                raise RuntimeError(f"{named(*waiting[done])}: {error}") from error
            bar.update()
        bar.close()
        return [done.result() for done in waiting]


@cache
def lab_of(profile: str) -> Lab:
    """A profile's lab, opened once in each process."""
    return Lab(profile)


def _quiet() -> None:
    os.environ[HEADLESS] = "1"
    torch.set_num_threads(1)
