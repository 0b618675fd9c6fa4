"""How large the text of a figure comes out on a page."""


def points_on_page(points, width, pixels=800.0):
    """Points of text when its figure is shown that many pixels wide.

    Args:
        points: the size in the figure.
        width: of the figure, inches.
        pixels: CSS pixels, 96 to the inch.
    """
    return points * pixels / (96.0 * width)
