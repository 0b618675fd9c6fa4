"""``python -m shortcut_nb.mini.pretrain.gpu``: every model at once, on one large GPU, in minutes.

The pool is rendered on all cores; then every training is a process of its own, started when what
it needs is there and ended by the clock. The models are so small that one of them cannot fill the
card. What comes back: the weights in float16, costs and losses, as a few files of limited size.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import tarfile
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from .jobs import JOBS, Job, TrainingContext, pool_sizes, write_costs
from .loop import TrainingPlan
from .machine import Machine

log = logging.getLogger(__name__)
PIECE = 15 * 2**20
POLL = 0.2
TRIES = 2


def train_apart(
    name: str, job: Job, context: TrainingContext, seconds: float, steps: int | None, graphs: bool
) -> None:
    """One training, as the main function of its own process; its output goes to ``NAME.log``.

    The process starts afresh: one that is forked waits for ever with some releases of torch.
    """
    out = (context.folder / f"{name}.log").open("a", buffering=1)
    os.dup2(out.fileno(), 1)
    os.dup2(out.fileno(), 2)
    sys.stdout = sys.stderr = out
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    machine = Machine.here(job.workers, graphs)
    if machine.device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
    started = time.monotonic()
    try:
        context.machine = machine
        job.run(context, TrainingPlan(context.folder, steps or job.steps, seconds, machine))
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    print(f"{name}: {time.monotonic() - started:.1f} s in all", flush=True)


@dataclass
class Schedule:
    """The processes of all jobs.

    Args:
        seconds: what ``Job.share`` is a share of.
        steps: at most so many of each.
        graphs: whether steps are recorded as CUDA graphs; a second try goes without.
    """

    context: TrainingContext
    seconds: float
    steps: int | None = None
    graphs: bool = True
    running: dict[str, multiprocessing.process.BaseProcess] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)

    def ready(self, name: str, job: Job) -> bool:
        """Whether a job may start now."""
        waiting = name not in self.running and name not in self.ended
        return waiting and all(self.ended.get(need) == 0 for need in job.needs)

    def hopeless(self, name: str, job: Job) -> bool:
        """Whether what a job needs has failed."""
        return name not in self.ended and any(self.ended.get(need, 0) != 0 for need in job.needs)

    def start(self, name: str, job: Job) -> None:
        """Start a job's process."""
        self.tries[name] = self.tries.get(name, 0) + 1
        graphs = self.graphs and self.tries[name] == 1
        spawning = multiprocessing.get_context("spawn")
        # A copy without the pools: each process maps what it needs of them.
        words = (name, job, replace(self.context), self.seconds * job.share, self.steps, graphs)
        self.running[name] = spawning.Process(target=train_apart, args=words, name=name)
        self.running[name].start()
        log.info("started %s", name)

    def collect(self) -> None:
        """Note which processes have ended; one that failed is tried a second time."""
        for name, process in list(self.running.items()):
            code = process.exitcode
            if code is None:
                continue
            del self.running[name]
            if code != 0 and self.tries[name] < TRIES:
                log.warning("%s ended with %s: tried again, afresh and without graphs", name, code)
                self.start(name, JOBS[name])
                continue
            self.ended[name] = code
            log.info("%s ended with %s", name, code)

    def run(self, names: list[str], deadline: float) -> dict[str, int]:
        """Run jobs to their end or to the deadline; the exit code of each.

        A job that another needs and that is not among ``names`` counts as done.
        """
        self.ended |= {need: 0 for name in names for need in JOBS[name].needs if need not in names}
        while any(name not in self.ended for name in names):
            for name in names:
                if self.hopeless(name, JOBS[name]):
                    self.ended[name] = 1
                elif self.ready(name, JOBS[name]):
                    self.start(name, JOBS[name])
            self.collect()
            if time.monotonic() > deadline:
                self.stop()
                break
            time.sleep(POLL)
        return {name: self.ended.get(name, 1) for name in names}

    def stop(self) -> None:
        """End what still runs; its checkpoints stay."""
        for name, process in self.running.items():
            log.warning("%s did not end in time", name)
            process.terminate()


def pack(folder: Path, into: Path, out: Path) -> list[Path]:
    """Everything to be kept, as one archive in pieces of at most 15 MiB.

    ``cat pretrained.tar.* | tar x`` unpacks them. Returns the pieces.
    """
    out.mkdir(parents=True, exist_ok=True)
    archive = folder / "pretrained.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted(into.glob("[!.]*")):
            tar.add(path, arcname=f"weights/{path.name}")
        for kind in ("jsonl", "json", "log"):
            for path in sorted(folder.glob(f"*.{kind}")):
                tar.add(path, arcname=f"logs/{path.name}")
    pieces: list[Path] = []
    with archive.open("rb") as stream:
        while data := stream.read(PIECE):
            piece = out / f"pretrained.tar.{len(pieces):02d}"
            piece.write_bytes(data)
            pieces.append(piece)
    return pieces


def main(
    out: Annotated[Path, typer.Option(envvar="OUT", help="where the result goes")],
    minutes: Annotated[float, typer.Option(help="for everything", min=0.05)] = 8.5,
    folder: Annotated[Path, typer.Option(help="checkpoints and caches")] = Path("build/gpu"),
    batch: Annotated[int, typer.Option(help="factor on every batch size", min=1)] = 8,
    only: Annotated[list[str] | None, typer.Option(help="these models only")] = None,
    graphs: Annotated[bool, typer.Option(help="record steps as CUDA graphs")] = True,
    pool: Annotated[int | None, typer.Option(help="a pool of about so many pictures")] = None,
    steps: Annotated[int, typer.Option(help="at most so many steps of each", min=1)] = 20_000_000,
) -> None:
    """Train every model at once, and pack what came of it; exit with 1 when one failed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    started = time.monotonic()
    into = folder / "weights"
    into.mkdir(parents=True, exist_ok=True)
    context = TrainingContext(folder, into, batch=batch, **pool_sizes(pool))
    pools = (context.pool, context.held_out, context.many_people)
    pictures = sum(len(one.pictures) for one in pools)
    log.info("%d pictures after %.0f s", pictures, time.monotonic() - started)
    left = minutes * 60 - (time.monotonic() - started)
    reserve = min(30.0, 0.15 * left)  # encoding latents, publishing, packing
    schedule = Schedule(context, left - reserve, steps, graphs)
    ended = schedule.run(only or list(JOBS), started + minutes * 60 - 0.2 * reserve)
    write_costs(folder, into)
    pieces = pack(folder, into, out)
    log.info("wrote %s after %.0f s", ", ".join(map(str, pieces)), time.monotonic() - started)
    if failed := [name for name, code in ended.items() if code != 0]:
        log.error("failed: %s; see their logs in the archive", ", ".join(failed))
        raise typer.Exit(1)


if __name__ == "__main__":
    from ...cli.exits import run_alone

    run_alone(main)
