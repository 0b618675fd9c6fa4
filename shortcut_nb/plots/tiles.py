"""A grid of named pictures; those of one family stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from ..errors import UserError
from ..images import check_images
from .grids import bare, to_hwc
from .palette import looks
from .style import theme

COLUMNS = 5
ONE_LINE, TWO_LINES = 0.2, 0.31  # inches above a tile: its name, and its family
CELL = 1.4  # inches: 168 pixels at the resolution of saved figures


def image_grid(
    tiles: Mapping[str, Tensor],
    families: Mapping[str, str] | None = None,
    columns: int = COLUMNS,
    title: str | None = None,
    cell: float = CELL,
) -> Figure:
    """Draw one named tile per entry, row by row; kin stand beside each other.

    Args:
        tiles: name to (n, 3, H, W) float32 in [0, 1]; the n pictures stand below each other.
        families: name to family, at most eight; written below the name where it says more than
            that, and the tile is framed in the family's colour. Tiles keep their order within a
            family, families that of first mention.
        columns: tiles to a row.
        title: above all rows.
        cell: width of a picture in inches.

    Raises:
        UserError: no tiles, bad pictures, or a tile without a family.
    """
    if not tiles:
        raise UserError("expected at least one tile, got none")
    for name, images in tiles.items():
        check_images(images, name=f"tile {name!r}")
    if families is not None and (missing := [name for name in tiles if name not in families]):
        raise UserError(f"expected a family for each tile; {', '.join(missing)} have none")
    order = _kin(list(tiles), families)
    style = looks([families[name] for name in order]) if families else {}
    high = max(len(images) * images.shape[-2] / images.shape[-1] for images in tiles.values())
    wide, lines = min(columns, len(order)), -(-len(order) // columns)
    with theme():
        head = TWO_LINES if families else ONE_LINE
        size = (wide * cell, lines * (high * cell + head) + 0.35 * (title is not None))
        pads = ConstrainedLayoutEngine(
            compress=True, w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0
        )
        fig = Figure(size, layout=pads)
        axes = fig.subplots(lines, wide, squeeze=False).ravel()
        for ax in axes:
            bare(ax)
        for ax, name in zip(axes, order, strict=False):
            ax.imshow(to_hwc(_stacked(tiles[name])), interpolation="nearest")
            if families:
                more = "" if families[name] == name else f"\n({families[name]})"
                ax.set_title(f"{name}{more}", fontsize=8.5, linespacing=1.05)
                _framed(ax, style[families[name]].color)
            else:
                ax.set_title(name, fontsize=9)
        if title:
            fig.suptitle(title, fontsize=11)
    return fig


def _framed(ax: Axes, color: str) -> None:
    """A frame of a colour around a tile."""
    for side in ax.spines.values():
        side.set(visible=True, color=color, linewidth=2.5)


def _kin(names: list[str], families: Mapping[str, str] | None) -> list[str]:
    """Names by family, in order of first mention."""
    if families is None:
        return names
    order = list(dict.fromkeys(families[name] for name in names))
    return sorted(names, key=lambda name: order.index(families[name]))


def _stacked(images: Tensor) -> Tensor:
    """Pictures (n, 3, H, W) below each other, (3, n·H, W)."""
    n, channels, height, width = images.shape
    return images.permute(1, 0, 2, 3).reshape(channels, n * height, width)
