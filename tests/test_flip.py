"""A slider over drawn figures shows the one of its stop."""

import io

import pytest
from matplotlib.figure import Figure
from PIL import Image

from shortcut_nb.plots.flip import flip_book


def page(width):
    figure = Figure((width, 1.0))
    figure.subplots()
    return figure


def width_of(content):
    return Image.open(io.BytesIO(content)).size[0]


def test_the_slider_turns_the_pages():
    box = flip_book({"0/255": page(1), "8/255": page(2), "16/255": page(3)}, "budget")
    slider, image = box.children
    assert slider.options == ("0/255", "8/255", "16/255") and slider.value == "16/255"
    assert width_of(image.value) == 360
    slider.value = "8/255"
    assert width_of(image.value) == 240


def test_it_begins_where_it_is_told_to():
    slider, image = flip_book({"a": page(1), "b": page(2)}, "page", start="a").children
    assert slider.value == "a" and width_of(image.value) == 120
    for pages, start in (({}, None), ({"a": page(1)}, "c")):
        with pytest.raises(ValueError, match="among"):
            flip_book(pages, "page", start)
