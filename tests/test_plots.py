"""Figures: saved whole, described in words, and true to what they were given."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from shortcut_nb.plots import (
    image_grid,
    image_rows,
    interval_plot,
    perturbation_row,
    save_figure,
)
from shortcut_nb.plots.figures import DPI, compact_png

ALT = "A line that rises from left to right, drawn as an example."


def line():
    fig = Figure()
    fig.subplots().plot([0, 1])
    return fig


def test_figure_numbers_and_words_are_saved(tmp_path):
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1 / 3]})
    saved = save_figure(line(), "a-line", ALT, frame, tmp_path / "figures")
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [
        "a-line.csv",
        "a-line.json",
        "a-line.png",
    ]
    told = json.loads(saved.sidecar.read_text())
    assert told["alt"] == ALT and told["image"] == "a-line.png" and told["data"] == "a-line.csv"
    assert pd.read_csv(saved.csv)["y"].to_list() == pytest.approx([0.5, 1 / 3], abs=1e-5)
    with Image.open(saved.png) as picture:
        assert picture.info["Description"] == ALT
        assert picture.info["dpi"] == pytest.approx((120, 120), abs=0.1)
        assert picture.size == (round(6.4 * 120), round(4.8 * 120))
    data, about = saved._repr_mimebundle_()
    assert about["image/png"]["alt"] == ALT and data["text/plain"] == ALT


def test_same_figure_same_bytes(tmp_path):
    one = save_figure(line(), "one", ALT, folder=tmp_path).png.read_bytes()
    assert one == save_figure(line(), "two", ALT, folder=tmp_path).png.read_bytes()


def test_numbers_of_an_older_figure_do_not_stay(tmp_path):
    save_figure(line(), "one", ALT, pd.DataFrame({"x": [1]}), tmp_path)
    assert save_figure(line(), "one", ALT, folder=tmp_path).csv is None
    assert not (tmp_path / "one.csv").exists()


def test_a_failed_save_keeps_the_old_figure(tmp_path):
    before = save_figure(line(), "one", ALT, folder=tmp_path).png.read_bytes()
    broken = line()
    broken.axes[0].set_xlabel("$\\nonsense{$")
    with pytest.raises(ValueError):
        save_figure(broken, "one", ALT, folder=tmp_path)
    assert (tmp_path / "one.png").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.json", "one.png"]


@pytest.mark.parametrize("alt", ["", "too short", "x" * 301, " " * 40])
def test_alt_text_of_a_wrong_length_is_refused(tmp_path, alt):
    with pytest.raises(ValueError, match="20 to 300"):
        save_figure(line(), "one", alt, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_alt_text_must_not_be_the_title_and_ids_are_plain(tmp_path):
    fig = line()
    fig.axes[0].set_title(ALT)
    with pytest.raises(ValueError, match="repeats the title"):
        save_figure(fig, "one", ALT, folder=tmp_path)
    with pytest.raises(ValueError, match="lower-case"):
        save_figure(line(), "../one", ALT, folder=tmp_path)


def test_rows_show_the_pictures_they_were_given(tmp_path):
    red = torch.zeros(2, 3, 8, 8)
    red[:, 0] = 1
    fig = image_rows({"red": red, "white": torch.ones(1, 3, 8, 8)}, ["a", "b"], title="colours")
    assert [ax.get_ylabel() for ax in fig.axes] == ["red", "", "white", ""]
    assert [len(ax.images) for ax in fig.axes] == [1, 1, 1, 0]
    assert np.array_equal(fig.axes[1].images[0].get_array(), red[1].permute(1, 2, 0))
    save_figure(fig, "rows", ALT, folder=tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "rows.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == [255, 0, 0]).all(axis=1).sum() > 10_000


def test_rows_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one row"):
        image_rows({})
    with pytest.raises(ValueError, match="2 column headings"):
        image_rows({"x": torch.rand(2, 3, 8, 8)}, ["a"])
    with pytest.raises(ValueError, match="row 'x'"):
        image_rows({"x": torch.rand(2, 3, 8, 8) * 9})


def test_perturbation_is_shown_with_its_gain():
    x = torch.full((1, 3, 8, 8), 0.5)
    (label, row), *_ = perturbation_row(x, x + 4 / 255).items()
    assert "×4" in label
    assert torch.allclose(row, torch.full_like(row, 0.5 + 16 / 255), atol=1e-5)
    assert perturbation_row(x, x * 0, 2).popitem()[1].max() == 0
    with pytest.raises(ValueError, match="same shape"):
        perturbation_row(x, torch.rand(2, 3, 8, 8))


def test_intervals_are_drawn_in_their_groups(tmp_path):
    table = pd.DataFrame(
        {
            "attack": ["aspl", "aspl", "mist", "mist"],
            "condition": ["clean", "protected"] * 2,
            "mean": [0.9, 0.3, 1.0, 0.5],
            "low": [0.8, 0.2, 0.9, np.nan],
            "high": [1.0, 0.4, 1.1, np.nan],
            "n": [2, 2, 2, 1],
        }
    )
    fig = interval_plot(table, group="attack", reference=0.0)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["aspl", "mist"]
    assert len(fig.axes[0].lines) == 1 + 2 * len(table)
    save_figure(fig, "intervals", ALT, table, tmp_path)
    alone = interval_plot(table[table["attack"] == "aspl"])
    names = [t.get_text() for t in alone.axes[0].get_yticklabels()]
    assert names == ["clean (n=2)", "protected (n=2)"]


def test_figures_side_by_side_give_a_condition_one_look():
    every = ["mine", "yours"]
    rows = [{"condition": name, "mean": 1.0, "low": 0.5, "high": 1.5, "n": 3} for name in every]
    alone = pd.DataFrame(rows[1:])
    colors = [
        [line.get_color() for line in interval_plot(table, among=among).axes[0].lines]
        for table, among in ((pd.DataFrame(rows), every), (alone, every), (alone, None))
    ]
    assert colors[1] == colors[0][2:] != colors[2]


def test_a_chart_is_half_the_size_and_looks_the_same(tmp_path):
    """Its palette moves shades by some levels; a figure with a picture in it keeps every one."""
    x = np.linspace(0, 6, 200)
    chart = Figure((6, 3))
    ax = chart.subplots()
    for i in range(6):
        ax.plot(x, np.sin(x + i))
        ax.fill_between(x, np.sin(x + i) - 0.3, np.sin(x + i) + 0.3, alpha=0.2)
    alt = "Six waves, each with a band, drawn to be saved twice"
    with_picture = Figure((6, 3))
    with_picture.subplots().imshow(np.random.default_rng(0).random((64, 64, 3)))
    for figure, compact in ((chart, True), (with_picture, False)):
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=DPI)
        saved = save_figure(figure, "waves", alt, folder=tmp_path).png
        pixels = [np.asarray(Image.open(each).convert("RGB"), int) for each in (drawn, saved)]
        apart = np.abs(pixels[0] - pixels[1])
        assert apart.max() < 24 and (apart.max() > 0) == compact
        assert (saved.stat().st_size < 0.6 * len(drawn.getvalue())) == compact
        assert Image.open(saved).info["Description"] == alt


def test_saved_pictures_carry_no_opaque_alpha_and_lose_nothing():
    """Smaller, pixel for pixel the same, alt text kept; a transparent picture stays as it is."""
    fig = line()
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", metadata={"Description": "Größe, ≤ 16/255"})
    small = compact_png(drawn.getvalue())
    with Image.open(drawn) as before, Image.open(io.BytesIO(small)) as after:
        assert (before.mode, after.mode) == ("RGBA", "RGB")
        assert after.info["Description"] == before.info["Description"] == "Größe, ≤ 16/255"
        assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after))
    assert len(small) < len(drawn.getvalue()) and compact_png(small) == small
    clear = io.BytesIO()
    fig.savefig(clear, format="png", transparent=True)
    assert compact_png(clear.getvalue()) == clear.getvalue()


def test_a_grid_puts_kin_beside_each_other():
    names = ("jpeg", "restorer", "median", "sr", "tvm", "vae")
    kinds = ("filter", "restoration", "filter", "restoration", "filter", "latent")
    tiles = {name: torch.full((2, 3, 8, 8), i / 6) for i, name in enumerate(names)}
    fig = image_grid(tiles, dict(zip(names, kinds, strict=True)), columns=4, title="purifiers")
    lines = [ax.get_title().split("\n") for ax in fig.axes[:6]]
    assert [name for name, _ in lines] == ["jpeg", "median", "tvm", "restorer", "sr", "vae"]
    assert [kind for _, kind in lines][:4] == ["(filter)"] * 3 + ["(restoration)"]
    drawn = fig.axes[3].images[0].get_array()
    assert drawn.shape == (16, 8, 3) and np.allclose(drawn, 1 / 6)
    frames = {
        kind: ax.spines["left"].get_edgecolor()
        for ax, (_, kind) in zip(fig.axes[:6], lines, strict=True)
    }
    assert len(set(frames.values())) == 3
    for bad, words in (({}, "at least one"), ({"x": torch.rand(1, 3, 8, 8) * 9}, "tile 'x'")):
        with pytest.raises(ValueError, match=words):
            image_grid(bad)
    with pytest.raises(ValueError, match="vae have none"):
        image_grid(tiles, {name: "a" for name in names if name != "vae"})


def test_a_picture_of_a_grid_is_large_enough_to_be_seen():
    fig = image_grid({"a": torch.rand(1, 3, 8, 8), "b": torch.rand(1, 3, 8, 8)})
    fig.set_dpi(120)
    fig.draw_without_rendering()
    assert fig.axes[0].get_window_extent().width >= 128
