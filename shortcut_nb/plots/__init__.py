"""Figures: one look, saved with their numbers and in words."""

from .bars import interval_plot, interval_table
from .embeddings import projection_plot
from .figures import SavedFigure, save_figure
from .grids import image_rows, perturbation_row
from .spectra import spectrum_plot
from .style import CONDITIONS, LOOKS, OKABE_ITO, Look, looks, theme

__all__ = [
    "CONDITIONS",
    "LOOKS",
    "OKABE_ITO",
    "Look",
    "SavedFigure",
    "image_rows",
    "interval_plot",
    "interval_table",
    "looks",
    "perturbation_row",
    "projection_plot",
    "save_figure",
    "spectrum_plot",
    "theme",
]
