"""`shortcut-nb report`: a measurement as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exits import user_errors
from .sources import Force, Profile

RECORD = "report.json"


def report(
    name: Annotated[
        str,
        typer.Argument(help="A measurement, an experiment's YAML file, or a CSV or Parquet file."),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder of its own for NAME.html, NAME.md, figures/ and data/.")
    ] = Path("report"),
    profile: Profile = "mini",
    force: Force = False,
) -> None:
    """Show what was measured: tables with intervals, verdicts, what each defence gives and costs.

    Nothing is trained or scored: it reads what is kept, in seconds.

    Example: shortcut-nb report benchmark --out report/
    """
    with user_errors():
        from ..files.outputs import check_output

        output = check_output(out, RECORD, force=force)
        from ..files import write_json
        from ..reporting.report_page import write_page
        from ..reporting.sources import report_of

        page, frame = report_of(name, _name(profile), profile)
        with output.filling() as folder:
            path = write_page(page, folder, frame)
            files = sorted(item.name for item in folder.iterdir())
            write_json(folder / RECORD, {"report": name, "profile": profile, "files": files})
        place = output.folder / path.name
        typer.echo(f"finished: wrote {place}; Markdown, figures and numbers are beside it")


def _name(profile: str) -> str:
    """What a profile calls itself, which its results are kept under; or of one that is gone.

    Raises:
        MissingFile: there is no such profile, and no result of one.
    """
    from ..errors import MissingFile
    from ..profile import load_profile
    from ..results import available

    try:
        return load_profile(profile).name
    except MissingFile:
        if not available(profile):
            raise
        return profile
