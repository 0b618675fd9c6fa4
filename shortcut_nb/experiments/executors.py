"""Who runs a unit of work: this process, several processes, or a Ray cluster.

An executor takes units and gives them back as they end, in any order. It never raises for a unit
that fails: what went wrong is in the outcome.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable, Hashable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol

from ..environment import HEADLESS
from ..errors import UserError
from ..machine.threads import torch_threads

Work = Callable[..., Any]
PATIENCE = 5.0  # seconds to wait for a cluster to answer
OBJECTS = 80 * 2**20  # bytes of Ray's own store, nearly its least: outputs go by path


@dataclass(frozen=True)
class Outcome:
    """How a unit ended: no error, or the error in one line and its traceback."""

    error: str = ""
    trace: str = ""


class Executor(Protocol):
    """Runs ``work(*arguments)`` for units that are named by anything hashable."""

    slots: int

    def submit(self, unit: Hashable, arguments: tuple[Any, ...]) -> None:
        """Take a unit; not more than ``slots`` at a time."""

    def next(self) -> tuple[Any, Outcome]:
        """Wait until a unit ends."""
        ...

    def close(self) -> None:
        """Give back what was taken."""


def attempt(work: Work, arguments: tuple[Any, ...], threads: int | None = 1) -> Outcome:
    """Run and report: an exception becomes an outcome, an interrupt does not."""
    try:
        with torch_threads(threads):
            work(*arguments)
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(line, traceback.format_exc())
    return Outcome()


class Serial:
    """Here, one after the other.

    Args:
        threads: of torch, while a unit runs; None leaves them as they are.
    """

    slots = 1

    def __init__(self, work: Work, threads: int | None = None) -> None:
        self.work, self.threads = work, threads
        self._waiting: list[tuple[Hashable, tuple[Any, ...]]] = []

    def submit(self, unit: Hashable, arguments: tuple[Any, ...]) -> None:
        self._waiting.append((unit, arguments))

    def next(self) -> tuple[Any, Outcome]:
        unit, arguments = self._waiting.pop()
        return unit, attempt(self.work, arguments, self.threads)

    def close(self) -> None:
        self._waiting.clear()


class Processes:
    """In processes of this machine, each with some threads of its own.

    A process that dies (killed, out of memory) takes the others of its pool with it; their units
    are then run again one at a time, so that the one at fault is known and the others go on.

    Args:
        work: a function of a module (it is sent by name), as are the values of arguments.
    """

    def __init__(self, work: Work, workers: int, threads: int | None = 1) -> None:
        if workers < 1:
            raise UserError(f"workers must be at least 1; got {workers}")
        self.work, self.slots, self.threads = work, workers, threads
        self._pool = self._fresh(workers)
        self._running: dict[Future[Outcome], tuple[Hashable, tuple[Any, ...]]] = {}
        self._ended: list[tuple[Hashable, Outcome]] = []

    def _fresh(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, mp_context=context, initializer=quiet)

    def submit(self, unit: Hashable, arguments: tuple[Any, ...]) -> None:
        try:
            future = self._pool.submit(attempt, self.work, arguments, self.threads)
        except BrokenProcessPool:
            self._alone()
            future = self._pool.submit(attempt, self.work, arguments, self.threads)
        self._running[future] = (unit, arguments)

    def next(self) -> tuple[Any, Outcome]:
        while not self._ended:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                self._alone()
                continue
            for future in done:
                unit, _ = self._running.pop(future)
                self._ended.append((unit, _outcome(future)))
        return self._ended.pop(0)

    def _alone(self) -> None:
        """After a process died: a new pool, and what was running, each in a pool of its own."""
        unfinished = list(self._running.items())
        self._running.clear()
        for future, (unit, arguments) in unfinished:
            if future.done() and future.exception() is None:
                self._ended.append((unit, future.result()))
                continue
            with self._fresh(1) as pool:
                again = pool.submit(attempt, self.work, arguments, self.threads)
                wait([again])
                self._ended.append((unit, _outcome(again)))
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._fresh(self.slots)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _outcome(future: Future[Outcome]) -> Outcome:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return Outcome("the process that ran it died (killed, or out of memory)")
    if error is not None:
        return Outcome(" ".join(f"{type(error).__name__}: {error}".split()))
    return future.result()


def quiet() -> None:
    """Log lines in place of bars, as befits a process among others."""
    os.environ[HEADLESS] = "1"


class Ray:
    """On a Ray cluster: many machines, fractions of GPUs, and another try where a machine died.

    Outputs go by path into the store, which all machines must share.

    Args:
        workers: how many units at a time; None is as many as CPUs (or GPU shares) there are for.
        gpus: GPUs a unit, for instance 0.25.
        retries: how often a unit whose machine or process died is tried again.
        address: of a running cluster ("auto"); None starts one here.
        threads: of torch in each unit, and CPUs that it is given; None leaves torch's own number
            and gives it one CPU.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        work: Work,
        workers: int | None = None,
        gpus: float = 0.0,
        retries: int = 2,
        address: str | None = None,
        threads: int | None = 1,
    ) -> None:
        cores = threads or 1
        self._running: dict[Any, Hashable] = {}
        self._ray, self._own = start_ray(address, workers and workers * cores)
        there = {"CPU": 1.0} | self._ray.cluster_resources()
        wanted = {"CPU": (cores, "threads"), "GPU": (gpus, "GPUs")}
        for kind, (count, ask) in wanted.items():
            if there.get(kind, 0) < count:
                self.close()
                raise UserError(
                    f"each unit asks for {count:g} {kind}s and the Ray cluster has "
                    f"{there.get(kind, 0):g}: ask for fewer {ask}"
                )
        remote = self._ray.remote(num_cpus=cores, num_gpus=gpus, max_retries=retries)
        self._attempt = remote(remotely)
        self.work, self.threads = work, threads
        room = int(there.get("GPU", 0) / gpus if gpus else there.get("CPU", 1) / cores)
        self.slots = workers or max(1, room)

    def submit(self, unit: Hashable, arguments: tuple[Any, ...]) -> None:
        reference = self._attempt.remote(self.work, arguments, self.threads)
        self._running[reference] = unit

    def next(self) -> tuple[Any, Outcome]:
        (done,), _ = self._ray.wait(list(self._running), num_returns=1)
        unit = self._running.pop(done)
        try:
            return unit, self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            text = str(error).strip().splitlines()
            return unit, Outcome(f"{type(error).__name__}: {text[0] if text else ''}", str(error))

    def close(self) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._own:
            self._ray.shutdown()


def remotely(work: Work, arguments: tuple[Any, ...], threads: int | None) -> Outcome:
    """What a Ray worker does."""
    quiet()
    return attempt(work, arguments, threads)


def check_reachable(address: str) -> None:
    """Raise a UserError where nobody listens at "host:port"; Ray itself would go on trying.

    Other addresses ("auto", "ray://…") are left to Ray.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "://" in address or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"there is no Ray cluster at {address!r}: {error}") from None


def start_ray(address: str | None, cpus: int | None) -> tuple[Any, bool]:
    """Ray, connected; and whether it was started here and so is to be stopped here.

    Args:
        cpus: of one that is started here; None is what the machine has.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed: pip install 'shortcut-nb[ray]'") from None
    if ray.is_initialized():
        return ray, False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is not None:
        check_reachable(address)
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": "WARNING"}
    if address is None:
        how |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECTS}
    try:
        ray.init(address=address or "local", **how)
    except (ConnectionError, ValueError) as error:
        raise UserError(f"there is no Ray cluster at {address!r}: {error}") from None
    return ray, True
