"""Figures on disk: the picture, the numbers behind it, and words for those who cannot see it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import AxesImage, BboxImage
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..environment import FIGURES
from ..errors import UserError
from ..files import write_bytes, write_text

DPI = 120
SHORTEST, LONGEST = 20, 300


@dataclass(frozen=True)
class SavedFigure:
    """Where a figure went. Shown by a notebook as the PNG, with its alternative text."""

    png: Path
    sidecar: Path
    csv: Path | None
    alt: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        picture = base64.b64encode(self.png.read_bytes()).decode()
        return {"image/png": picture, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def save_figure(
    fig: Figure,
    id: str,
    alt: str,
    data: pd.DataFrame | None = None,
    folder: str | Path | None = None,
) -> SavedFigure:
    """Write ``{id}.png`` (120 dpi), ``{id}.csv`` with the numbers, and ``{id}.json``.

    Each file is written under another name first and renamed, so that none is ever half there;
    the JSON comes last.

    Args:
        fig: what was drawn.
        id: lower-case letters, digits, "-" and "_": the name of the files.
        alt: what the figure shows, in one or two sentences of 20 to 300 characters.
        data: the numbers that were drawn; None for pictures.
        folder: made when it is not there. None is ``$SHORTCUT_NB_FIGURES`` (set by the notebook
            runner), else ``figures``, beside the notebooks if that is where we are.

    Raises:
        UserError: a bad id, or an alt text that is too short, too long or just the title.
    """
    alt = " ".join(alt.split())
    titles = [title for title in _titles(fig) if title]
    _check_words(id, alt, titles)
    folder = Path(folder or _figures_folder())
    png, csv, sidecar = (folder / f"{id}{end}" for end in (".png", ".csv", ".json"))
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None, "Description": alt})
    write_bytes(png, compact_png(drawn.getvalue(), chart=not _has_pictures(fig)))
    if data is None:
        csv.unlink(missing_ok=True)
    else:
        write_text(csv, data.to_csv(index=False, float_format="%.6g"))
    text = json.dumps(
        {
            "id": id,
            "alt": alt,
            "title": titles[0] if titles else None,
            "image": png.name,
            "data": None if data is None else csv.name,
        },
        indent=2,
        ensure_ascii=False,
    )
    write_text(sidecar, text + "\n")
    return SavedFigure(png, sidecar, None if data is None else csv, alt)


def _check_words(id: str, alt: str, titles: list[str]) -> None:
    """Whether a figure's name and alternative text will do."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", id):
        raise UserError(f'id must be lower-case letters, digits, "-" and "_", got {id!r}')
    if not SHORTEST <= len(alt) <= LONGEST:
        raise UserError(
            f"alt text of {id} must have {SHORTEST} to {LONGEST} characters, got {len(alt)}: "
            "say what a reader should see"
        )
    if alt in titles:
        raise UserError(f"alt text of {id} repeats the title: say what a reader should see")


def compact_png(content: bytes, chart: bool = False) -> bytes:
    """The same figure in fewer bytes: without an alpha channel that is opaque all over.

    Args:
        content: a PNG.
        chart: lines and letters, with no photograph among them. It gets a palette of 256 colours,
            half the size; what changes are shades at the edges of lines, by 20 levels of 255 or so.
    """
    with Image.open(io.BytesIO(content)) as picture:
        if picture.mode != "RGBA" or picture.getchannel("A").getextrema() != (255, 255):
            return content
        text, out = PngInfo(), io.BytesIO()
        if alt := picture.info.get("Description"):
            text.add_itxt("Description", alt)
        opaque = picture.convert("RGB")
        if chart:
            how, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
            opaque = opaque.quantize(256, how, kmeans=3, dither=dither)
        opaque.save(out, "PNG", optimize=True, pnginfo=text, dpi=picture.info.get("dpi"))
    return out.getvalue()


def _has_pictures(fig: Figure) -> bool:
    """Whether there are pixels in a figure, in its axes or beside its points."""
    return bool(fig.findobj(AxesImage) or fig.findobj(BboxImage) or fig.images)


def _figures_folder() -> str | Path:
    beside = Path("../figures") if Path.cwd().name == "notebooks" else Path("figures")
    return os.environ.get(FIGURES) or beside


def _titles(fig: Figure) -> list[str]:
    return [fig.get_suptitle(), *(ax.get_title() for ax in fig.axes)]
