"""The measure of a page: figures that fill its width, and text that is legible there."""

from __future__ import annotations

PAGE_WIDTH = 8.0
"""Inches of a figure that is shown as wide as a page, some 800 pixels."""

SMALLEST = 10.0
"""Points of the smallest text in such a figure: above 9 points when it is 800 pixels wide."""


def points_on_page(points: float, width: float, pixels: float = 800.0) -> float:
    """How large text comes out, in points, when its figure is shown that many pixels wide.

    Args:
        points: the size in the figure.
        width: of the figure, inches.
        pixels: CSS pixels, 96 to the inch.
    """
    return points * pixels / (96.0 * width)
