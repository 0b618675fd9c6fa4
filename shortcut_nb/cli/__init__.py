"""The command line, `shortcut-nb`. Thin: each command calls the library."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from . import (
    bench,
    cache,
    fetch,
    info,
    pictures,
    report,
    run,
)

app = typer.Typer(
    help="Protective perturbations, shortcut learning, and what undoes them.\n\n"
    "Example: shortcut-nb protect photos/ protected/ --eps 8/255",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(run.run)
app.command()(pictures.protect)
app.command()(pictures.purify)
app.command()(pictures.personalize)
app.command()(pictures.score)
app.command()(report.report)
app.command("list")(info.list_names)
app.command()(info.doctor)
app.command()(fetch.fetch)
app.command()(bench.bench)
app.add_typer(cache.app, name="cache")
app.add_typer(info.mini, name="mini")


@app.callback()
def _start(
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr
    )
    logging.getLogger("shortcut_nb").setLevel(logging.DEBUG if verbose else logging.INFO)
