"""`shortcut-nb cache`: what the store holds, whether it is whole, and how to make room.

No command here loads torch.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UserError
from .exits import user_errors

if TYPE_CHECKING:
    from ..store import Store

app = typer.Typer(help="What the store of finished work holds.", no_args_is_help=True)
Stage = Annotated[str | None, typer.Option(help="Only this stage: protect, train, sample, …")]
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str) -> int:
    """Bytes of a size such as "500MB", "2 GB" or "1.5g"; 0 needs no unit.

    Raises:
        UserError: for any other text; a bare number may be meant in any unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text.upper())
    if match is None:
        raise UserError(f"a size reads like 500MB or 2GB; got {text!r}.")
    number = float(match.group(1))
    if number and text.strip() == match.group(1):
        raise UserError(f"a size reads like 500MB or 2GB, with its unit; got {text!r}.")
    return int(number * UNITS[match.group(2)])


def _store(stage: str | None = None) -> Store:
    """The store; a stage that no one knows is refused, since it may be misspelt."""
    from ..registry import nearest
    from ..store import Store
    from ..store.recipe import STAGES, check_name

    if stage is not None:
        check_name(stage, "a stage")
    store = Store()
    known = {*STAGES, *store.stages()}
    if stage is not None and stage not in known:
        raise UserError(
            f"there is no stage {stage!r}; the nearest are {nearest(stage, sorted(known))}"
        )
    return store


@app.command("ls")
def ls(stage: Stage = None) -> None:
    """List the stored outputs (stage, key, size, seconds, when), and what is kept beside them.

    Beside them are half-done work, notes of failures, runs of notebooks, and the photos of
    notebook 10. Example: shortcut-nb cache ls --stage train
    """
    with user_errors():
        store, total, count = _store(stage), 0, 0
        for entry in store.ls(stage):
            size = entry.bytes
            total, count = total + size, count + 1
            typer.echo(
                f"{entry.stage:<14} {entry.key[:12]} {size / 1e6:9.2f} MB "
                f"{entry.seconds:9.1f} s  {entry.manifest['made']}"
            )
        others = store.side_files() if stage is None else []
        for each in others:
            typer.echo(f"{each.description:<27} {each.bytes / 1e6:9.2f} MB  {each.path}")
        more = f"; beside them {sum(each.bytes for each in others) / 1e6:.2f} MB" if others else ""
        typer.echo(f"{count} outputs, {total / 1e6:.2f} MB{more}, in {store.root}")


@app.command("verify")
def verify(stage: Stage = None) -> None:
    """Hold every stored output against its digests; exit with 1 when one is damaged.

    A damaged output is made again when it is next asked for. Example: shortcut-nb cache verify
    """
    with user_errors():
        store, damaged, count = _store(stage), 0, 0
        for folder, problem in store.verify(stage):
            count += 1
            if problem is not None:
                damaged += 1
                typer.echo(f"{folder}: {problem}")
        typer.echo(f"{count - damaged} outputs are whole, {damaged} damaged, in {store.root}")
        if damaged:
            raise typer.Exit(1)


@app.command("prune")
def prune(
    days: Annotated[
        float | None, typer.Option(min=0, help="Delete what was unused so many days (30).")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Delete outputs until no more than this is left, e.g. 2GB.")
    ] = None,
    stage: Stage = None,
) -> None:
    """Delete stored outputs: those unused for a while, or all beyond a size, trainings first.

    By age, without --stage, what `cache ls` lists beside the outputs goes too. What a running
    command is at work on stays. Example: shortcut-nb cache prune --keep 2GB
    """
    with user_errors():
        store = _store(stage)
        size = None if keep is None else parse_size(keep)
        age = 30.0 if days is None and size is None else days
        gone = store.prune(age, size, stage)
        others = [] if age is None or stage else store.prune_side_files(age)
        typer.echo(f"deleted {len(gone)} outputs from {store.root}")
        if others:
            kinds = Counter(each.description for each in others)
            each_kind = ", ".join(f"{count} × {what}" for what, count in kinds.items())
            typer.echo(f"deleted beside them: {each_kind}")


@app.command("export")
def export(
    target: Annotated[str, typer.Argument(help="A folder; usable as $SHORTCUT_NB_CACHE.")],
    stage: Stage = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also into a folder that holds other things.")
    ] = False,
) -> None:
    """Copy stored outputs into another folder, which is a store itself; what is there stays.

    Example: shortcut-nb cache export /media/stick/store --stage protect
    """
    with user_errors():
        copied = _store(stage).export(target, stage, force)
        typer.echo(f"copied {len(copied)} outputs to {target}")
