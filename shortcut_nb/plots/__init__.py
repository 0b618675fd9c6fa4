"""Figures: one look, saved with their numbers and in words."""

from .bars import interval_plot
from .causal_graph import Edge, causal_graph
from .curves import curve_plot
from .figures import SavedFigure, save_figure
from .flip import flip_book
from .grids import image_rows, perturbation_row
from .palette import CONDITIONS, FAMILY_OF, LOOKS, OKABE_ITO, Look, looks
from .spectra import spectrum_plot
from .style import theme
from .tiles import image_grid

__all__ = [
    "CONDITIONS",
    "Edge",
    "FAMILY_OF",
    "LOOKS",
    "OKABE_ITO",
    "Look",
    "SavedFigure",
    "causal_graph",
    "flip_book",
    "curve_plot",
    "image_grid",
    "image_rows",
    "interval_plot",
    "looks",
    "perturbation_row",
    "save_figure",
    "spectrum_plot",
    "theme",
]
