"""A measurement as one page: HTML that needs no network, Markdown, and the numbers behind both."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from torch import Tensor

from ..errors import UserError
from ..experiments.measured import Measurement
from ..experiments.table_files import need_pyarrow
from ..files import write_bytes, write_text, writing
from ..plots import image_rows
from ..templates import counted
from .charts import all_charts
from .tables import Table, all_tables

DPI = 130
LARGE = 7.5  # inches: a wider figure takes the page's whole width
NUMBER = re.compile(r"([+-]?\d[\d.]*)( \[.*\])?")
CHIPS = {"confirmed": "✓", "refuted": "✗", "undecided": "?", "not measured": "–"}
ROWS = 24  # of a grid of samples

Samples = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class RenderedFigure:
    """A figure as the page has it: PNG, words for those who cannot see it, and its numbers."""

    name: str
    title: str
    png: bytes
    alt: str
    large: bool
    data: pd.DataFrame | None = None


class Facts(NamedTuple):
    """What stands above a page, each in words: "12 people"."""

    profile: str
    cells: str
    people: str
    seeds: str
    samples: str


@dataclass(frozen=True, eq=False)
class Page:
    """Everything a report shows."""

    title: str
    question: str
    facts: Facts
    tables: list[Table]
    pictures: list[RenderedFigure]
    failures: tuple[str, ...] = field(default=())


def page_of(measured: Measurement, samples: Samples | None = None) -> Page:
    """The page of a measurement.

    Args:
        samples: pictures by cell, (n, 3, H, W) float32 in [0, 1], where the store has them.
    """
    pictures = []
    if samples:
        rows = dict(list(samples.items())[:ROWS])
        cells = measured.frame["condition"].nunique()
        alt = f"Samples of {len(rows)} of {cells} cells, a row each."
        pictures.append(rendered("samples", "Samples", image_rows(rows, cell=0.9), alt))
    for chart in all_charts(measured):
        pictures.append(rendered(chart.name, chart.title, chart.figure, chart.alt, chart.data))
    tables = all_tables(measured)
    about = measured.name, measured.question, facts(measured)
    return Page(*about, tables, pictures, measured.failures)


def facts(measured: Measurement) -> Facts:
    """Profile, and how many cells, people, seeds and samples were measured."""
    frame = measured.frame
    return Facts(
        profile=f"profile {measured.profile}",
        cells=counted(frame["condition"].nunique(), "cell"),
        people=counted(frame["subject"].nunique(), "person", "people"),
        seeds=counted(len(measured.coverage["seeds"]), "seed"),
        samples=counted(measured.samples, "sample") + " a prompt",
    )


def rendered(
    name: str, title: str, figure: Figure, alt: str, data: pd.DataFrame | None = None
) -> RenderedFigure:
    """A figure as PNG, with what the page says about it."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return RenderedFigure(
        name, title, out.getvalue(), alt, figure.get_size_inches()[0] > LARGE, data
    )


def html_of(page: Page) -> str:
    """The page as one HTML file: styles, pictures and numbers are inside."""
    loader = PackageLoader("shortcut_nb.reporting", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.get_template("report.html.j2")
    return template.render(page=page, shown=shown_cell, image_uri=image_uri, csv_uri=csv_uri)


def shown_cell(text: str) -> str:
    """A cell of a table: verdicts as chips, intervals in grey, numbers unbroken."""
    safe = html.escape(text)
    if text in CHIPS:
        kind = text.split(" ")[0]
        return f'<td><span class="chip {kind}">{CHIPS[text]} {safe}</span></td>'
    match = NUMBER.fullmatch(text)
    if match and match.group(2):
        value, ends = match.group(1), html.escape(match.group(2).strip())
        return f'<td class="n">{value} <span class="ends">{ends}</span></td>'
    return f'<td class="n">{safe}</td>' if match else f"<td>{safe}</td>"


def markdown_of(page: Page) -> str:
    """The page in Markdown; pictures lie beside it, in ``figures/``."""
    parts = [f"# {page.title}", page.question, "; ".join(page.facts) + "."]
    if page.failures:
        lines = "\n".join(f"- {line}" for line in page.failures)
        parts.append(f"## What could not be measured\n\n{lines}")
    tables = [f"## {t.title}\n\n{t.markdown()}\n\n{t.note}" for t in page.tables]
    pictures = [f"## {p.title}\n\n![{p.alt}](figures/{p.name}.png)" for p in page.pictures]
    parts += [*tables[:1], *pictures, *tables[1:]]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_page(page: Page, out: str | Path, frame: pd.DataFrame | None = None) -> Path:
    """Write ``NAME.html``, ``NAME.md``, ``figures/`` and ``data/`` into a folder.

    The numbers behind every table and picture are CSV, and Parquet too where pyarrow is installed.

    Args:
        frame: the measurement's own, written as ``data/NAME.csv``.

    Returns:
        The HTML file.
    """
    out = Path(out).expanduser()
    for picture in page.pictures:
        write_bytes(out / "figures" / f"{picture.name}.png", picture.png)
    numbers = {picture.name: picture.data for picture in page.pictures}
    numbers |= {table.name: table.data for table in page.tables}
    own = page.title if page.title not in numbers else f"{page.title}_measured"
    numbers[own] = frame
    for name, data in numbers.items():
        if data is not None:
            write_text(out / "data" / f"{name}.csv", csv(data))
            write_parquet(data, out / "data" / f"{name}.parquet")
    write_text(out / f"{page.title}.md", markdown_of(page))
    return write_text(out / f"{page.title}.html", html_of(page))


def csv(frame: pd.DataFrame) -> str:
    """A frame as CSV, six significant digits."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def csv_uri(frame: pd.DataFrame) -> str:
    """A frame as a data URI."""
    return f"data:text/csv;base64,{base64.b64encode(csv(frame).encode()).decode()}"


def image_uri(png: bytes) -> str:
    """A picture as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet; without pyarrow nothing."""
    try:
        need_pyarrow()
    except UserError:
        return
    with writing(path) as fresh:
        frame.to_parquet(fresh, index=False)
