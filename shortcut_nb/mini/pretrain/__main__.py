"""``python -m shortcut_nb.mini.pretrain``: train every model of the miniature from nothing.

Resumable at any step: run it again and it goes on from its last checkpoint. Each model trains for
its full number of steps, or for the ``--seconds MODEL=SECONDS`` it is given. Delete the folder to
start afresh. After the autoencoder was trained anew, ``latents.npz``, ``text`` and the checkpoints
of text, diffusion and ensemble must go too. ``--parts pretraining`` takes a finished autoencoder.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Annotated

import torch
import typer

from . import losses
from .jobs import JOBS, TrainingContext, pool_sizes, run, write_costs
from .machine import Machine

WEIGHTS = Path(__file__).parents[1] / "weights"
PARTS = ("vae", "fine", "text")
# Where a finished text-to-image model has them.
WITHIN = {"vae": "diffusion/vae", "text": "diffusion/text_encoder"}


def report(folder: Path, into: Path) -> None:
    """Write ``costs.json`` beside the models, and the losses as a figure into ``folder``."""
    from ...plots import save_figure

    into.mkdir(parents=True, exist_ok=True)
    write_costs(folder, into)
    if not any(folder.glob("*.jsonl")):
        return
    table = losses.read(folder)
    names = [losses.TITLES.get(name, name) for name in table["model"].unique()]
    alt = f"Training loss against step, one panel each: {', '.join(names)}."
    save_figure(losses.plot(table), "pretraining_losses", folder=folder, data=table, alt=alt)


def take_parts(parts: Path, folder: Path) -> None:
    """Copy finished parts to where trainings look for them, unless they are there already.

    Raises:
        typer.BadParameter: none of the parts is there.
    """
    finished = {name: place for name in PARTS if (place := _part(parts, name))}
    if not finished:
        raise typer.BadParameter(f"expected one of {', '.join(PARTS)} in {parts}; there is none")
    for name, place in finished.items():
        if not (folder / name).exists():
            shutil.copytree(place, folder / name)


def _part(parts: Path, name: str) -> Path | None:
    """A finished part by itself, or within a finished text-to-image model; None if in neither."""
    for place in (parts / name, parts / WITHIN.get(name, name)):
        if (place / "config.json").is_file():
            return place
    return None


def parse_seconds(pairs: list[str] | None) -> dict[str, float]:
    """MODEL=SECONDS pairs as a dictionary.

    Raises:
        typer.BadParameter: something else, or a model that there is not.
    """
    budget = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not text.replace(".", "", 1).isdigit():
            raise typer.BadParameter(f"expected MODEL=SECONDS; got {pair!r}")
        budget[name] = float(text)
    check_names(list(budget))
    return budget


def check_names(names: list[str]) -> None:
    """Refuse names of models that there are not.

    Raises:
        typer.BadParameter: naming what there is.
    """
    if unknown := set(names) - set(JOBS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the models are {', '.join(JOBS)}")


def main(
    folder: Annotated[Path, typer.Option(help="checkpoints and caches")] = Path("build/pretrain"),
    into: Annotated[Path, typer.Option(help="where finished models go")] = WEIGHTS,
    only: Annotated[list[str] | None, typer.Option(help="train these models only")] = None,
    seconds: Annotated[list[str] | None, typer.Option(help="MODEL=SECONDS: a time budget")] = None,
    steps: Annotated[int | None, typer.Option(help="steps of every model", min=1)] = None,
    threads: int = 2,
    workers: Annotated[int, typer.Option(help="processes that draw batches ahead", min=0)] = 0,
    batch: Annotated[int, typer.Option(help="factor on every batch size", min=1)] = 1,
    graphs: Annotated[bool, typer.Option(help="record steps as CUDA graphs")] = False,
    start: Annotated[
        Path | None, typer.Option(help="begin with this miniature's text encoder and UNet")
    ] = None,
    parts: Annotated[
        Path | None, typer.Option(help="take finished parts from here, such as vae")
    ] = None,
    pool: Annotated[int | None, typer.Option(help="a pool of about so many pictures")] = None,
) -> None:
    """Train the models, one after the other, and publish each when it is done."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    budget = parse_seconds(seconds)
    wanted = only or list(JOBS)
    check_names(wanted)
    if parts is not None:
        take_parts(parts, folder)
    machine = Machine.here(workers, graphs)
    context = TrainingContext(folder, into, machine, batch, start=start, **pool_sizes(pool))
    for name in JOBS:
        if name not in wanted:
            continue
        if name in PARTS and (folder / name).exists() and name not in budget:
            continue
        run(context, name, budget.get(name), steps)
    report(folder, into)


if __name__ == "__main__":
    from ...cli.exits import run_alone

    run_alone(main)
