"""The command line, `shortcut-nb`. Thin: each command calls the library."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from shortcut_nb import (
    cli_bench,
    cli_cache,
    cli_fetch,
    cli_info,
    cli_pictures,
    cli_report,
    cli_run,
)

app = typer.Typer(
    help="Protective perturbations, shortcut learning, and what undoes them.\n\n"
    "Example: shortcut-nb protect photos/ protected/ --eps 8/255",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(cli_run.run)
app.command()(cli_pictures.protect)
app.command()(cli_pictures.purify)
app.command()(cli_pictures.personalize)
app.command()(cli_pictures.score)
app.command()(cli_report.report)
app.command("list")(cli_info.list_names)
app.command()(cli_info.doctor)
app.command()(cli_fetch.fetch)
app.command()(cli_bench.bench)
app.add_typer(cli_cache.app, name="cache")
app.add_typer(cli_info.mini, name="mini")


@app.callback()
def _start(
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr
    )
    logging.getLogger("shortcut_nb").setLevel(logging.DEBUG if verbose else logging.INFO)
