"""`shortcut-nb report`: a measurement as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortcut_nb.cli_doors import doors
from shortcut_nb.cli_pictures import Profile


def report(
    name: Annotated[
        str, typer.Argument(help="A measurement, or a CSV or Parquet file of scored samples.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for NAME.html, NAME.md, figures/ and data/.")
    ] = Path("report"),
    profile: Profile = "mini",
) -> None:
    """Show what was measured: tables with intervals, verdicts, what each defence gives and costs.

    Nothing is trained or scored: it reads what is kept, in seconds.

    Example: shortcut-nb report benchmark --out report/
    """
    with doors():
        from shortcut_nb.experiments.page import write_page
        from shortcut_nb.experiments.sources import report_of

        page, frame = report_of(name, _name(profile))
        path = write_page(page, out, frame)
        typer.echo(f"wrote {path}; Markdown, figures and numbers are beside it")


def _name(profile: str) -> str:
    """What a profile calls itself, which its results are kept under; or of one that is gone."""
    from shortcut_nb.errors import MissingFile
    from shortcut_nb.profile import load_profile

    try:
        return load_profile(profile).name
    except MissingFile:
        return profile
