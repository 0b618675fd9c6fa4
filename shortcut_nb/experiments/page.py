"""A measurement as one page: HTML that needs no network, Markdown, and the numbers behind both."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from torch import Tensor

from ..files import write_bytes, write_text, writing
from ..plots import image_rows
from .charts import Chart, all_charts
from .measured import Measurement, need_pyarrow
from .tables import Table, all_tables

DPI = 130
LARGE = 7.5  # inches: a wider figure takes the page's whole width
NUMBER = re.compile(r"([+-]?\d[\d.]*)( \[.*\])?")
CHIPS = {"confirmed": "✓", "refuted": "✗", "undecided": "?", "not measured": "–"}
ROWS = 24  # of a grid of samples

Samples = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure as the page has it."""

    name: str
    title: str
    png: bytes
    alt: str
    large: bool
    data: pd.DataFrame | None = None

    @property
    def image(self) -> str:
        """The picture as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    @property
    def csv(self) -> str | None:
        """Its numbers as a data URI."""
        return None if self.data is None else _csv_uri(self.data)


@dataclass(frozen=True, eq=False)
class Page:
    """Everything a report shows."""

    title: str
    question: str
    facts: tuple[str, ...]
    tables: list[Any]
    pictures: list[Picture]
    failures: tuple[str, ...] = field(default=())


def page_of(measured: Measurement, samples: Samples | None = None) -> Page:
    """The page of a measurement.

    Args:
        samples: pictures by cell, (n, 3, H, W) float32 in [0, 1], where the store has them.
    """
    pictures = [picture_of(chart) for chart in all_charts(measured)]
    if samples:
        rows = dict(list(samples.items())[:ROWS])
        alt = (
            f"Samples of {len(rows)} of {measured.frame['condition'].nunique()} cells, a row each."
        )
        figure = image_rows(rows, cell=0.9)
        pictures.insert(0, Picture("samples", "Samples", png(figure), alt, _large(figure)))
    return Page(
        measured.name,
        measured.question,
        facts(measured),
        all_tables(measured),
        pictures,
        measured.failures,
    )


def facts(measured: Measurement) -> tuple[str, ...]:
    """What was measured, in a few words each."""
    frame = measured.frame
    counts = {
        "cell": frame["condition"].nunique(),
        "person": frame["subject"].nunique(),
        "seed": frame["seed"].nunique(),
    }
    plural = {"person": "people"}
    told = [f"{n} {name if n == 1 else plural.get(name, name + 's')}" for name, n in counts.items()]
    return (f"profile {measured.profile}", *told, f"{measured.samples} samples a prompt")


def picture_of(chart: Chart) -> Picture:
    """A chart, drawn."""
    large = _large(chart.figure)
    return Picture(chart.name, chart.title, png(chart.figure), chart.alt, large, chart.data)


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None}, bbox_inches="tight")
    return out.getvalue()


def html_of(page: Page) -> str:
    """The page as one HTML file: styles, pictures and numbers are inside."""
    loader = PackageLoader("shortcut_nb.experiments", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.get_template("report.html.j2")
    tables = [_Embedded(table) for table in page.tables]
    embedded = Page(page.title, page.question, page.facts, tables, page.pictures, page.failures)
    return template.render(page=embedded, shown=shown_cell)


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
    first, rest = page.tables[:1], page.tables[1:]
    parts += [_table_part(table) for table in first]
    parts += [f"## {p.title}\n\n![{p.alt}](figures/{p.name}.png)" for p in page.pictures]
    parts += [_table_part(table) for table in rest]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_page(page: Page, out: str | Path, frame: pd.DataFrame | None = None) -> Path:
    """Write ``NAME.html``, ``NAME.md``, ``figures/`` and ``data/`` into a folder.

    Args:
        frame: the measurement's own, written as ``data/NAME.csv`` (and ``.parquet`` where pyarrow
            is installed).

    Returns:
        The HTML file.
    """
    out = Path(out).expanduser()
    for each in page.pictures:
        write_bytes(out / "figures" / f"{each.name}.png", each.png)
        if each.data is not None:
            write_text(out / "data" / f"{each.name}.csv", _csv(each.data))
    for table in page.tables:
        write_text(out / "data" / f"{table.name}.csv", _csv(table.data))
    if frame is not None:
        write_text(out / "data" / f"{page.title}.csv", _csv(frame))
        _if_parquet(lambda: _write_parquet(frame, out / "data" / f"{page.title}.parquet"))
    write_text(out / f"{page.title}.md", markdown_of(page))
    return write_text(out / f"{page.title}.html", html_of(page))


class _Embedded:
    """A table with its numbers as a data URI."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.csv = _csv_uri(table.data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def _table_part(table: Table) -> str:
    return f"## {table.title}\n\n{table.markdown()}\n\n{table.note}"


def _large(figure: Figure) -> bool:
    return figure.get_size_inches()[0] > LARGE


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _csv_uri(frame: pd.DataFrame) -> str:
    return f"data:text/csv;base64,{base64.b64encode(_csv(frame).encode()).decode()}"


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    with writing(path) as fresh:
        frame.to_parquet(fresh, index=False)


def _if_parquet(write: Callable[[], None]) -> None:
    try:
        need_pyarrow()
    except ValueError:
        return
    write()
