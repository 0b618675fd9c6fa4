"""`shortcut-nb cache`: what the store holds, and how to make room."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="What the store of finished work holds.", no_args_is_help=True)
Stage = Annotated[str | None, typer.Option(help="Only this stage.")]


@app.command("ls")
def ls(stage: Stage = None) -> None:
    """List the stored outputs: stage, key, size, seconds it took, when it was made."""
    from shortcut_nb.experiments.store import Store

    store, total, count = Store(), 0, 0
    for entry in store.ls(stage):
        size = entry.bytes
        total, count = total + size, count + 1
        made = entry.manifest
        typer.echo(
            f"{made['stage']:<14} {entry.key[:12]} {size / 1e6:9.2f} MB {made['seconds']:9.1f} s  "
            f"{made['made']}"
        )
    typer.echo(f"{count} outputs, {total / 1e6:.2f} MB, in {store.root}")


@app.command("prune")
def prune(
    days: Annotated[float, typer.Option(min=0, help="Delete what was unused so many days.")] = 30.0,
    stage: Stage = None,
) -> None:
    """Delete stored outputs that were not used for a while."""
    from shortcut_nb.experiments.store import Store

    store = Store()
    gone = store.prune(days, stage)
    typer.echo(f"deleted {len(gone)} outputs from {store.root}")
