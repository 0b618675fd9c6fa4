"""Every number with an interval in the prose of pages and notebooks is one of the shipped results.

Tables are written by `python -m shortcut_nb.reporting.pages`; prose is written by hand, and this is
what tells when a result has moved on and the prose has not.
"""

import json
import math
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from shortcut_nb.analysis.shift_and_harm import correlation, mediate
from shortcut_nb.experiments.contrasts import Contrast, judge
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import mismatch
from shortcut_nb.reporting import numbers
from shortcut_nb.reporting.shipped import shipped
from shortcut_nb.reporting.strength import by_attack, read
from shortcut_nb.results import available

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NUMBER = r"[−+-]?\d+(?:\.\d+)?"
TRIPLE = re.compile(rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\]")
DIGITS = range(4)
COVERED = 2.0  # grey levels: between the attacks that cover V* with texture and all others
# Differences that no question predicts: question, measure, and the two cells.
TENTH = "condition=cdl{} | clean & sheet=without"
BY_HAND = [
    ("argument", "ims_missing", "aspl | 16/255", "clean | 16/255"),
    ("argument", "quality", "restored | 8/255", "CodeSR | 8/255"),
    *(
        ("lasting", metric, f"cdl | {length}", f"clean | {length}")
        for metric in ("ims_missing", "texture")
        for length in ("usual", "twice")
    ),
    (
        "argument",
        "texture",
        "condition=aspl | 8/255 & sheet=class",
        "condition=clean | 8/255 & sheet=class",
    ),
    ("benchmark", "ims_missing", "none | none | dreambooth", "photoguard | none | dreambooth"),
    *(
        ("benchmark", "ims_missing", "none | none | dreambooth", f"none | {defence}")
        for defence in ("jpeg | dreambooth", "none | cdl", "codesr | cdl")
    ),
    *(
        (
            "benchmark",
            metric,
            "photoguard | codesr | dreambooth",
            "photoguard | restorer | dreambooth",
        )
        for metric in ("quality", "intact", "ims_missing")
    ),
    (
        "benchmark",
        "ims_missing",
        "photoguard | ddspure | dreambooth",
        "photoguard | none | dreambooth",
    ),
    ("benchmark", "intact", "photoguard | none | cdl", "photoguard | codesr | dreambooth"),
    ("benchmark", "intact", "photoguard | jpeg | dreambooth", "photoguard | none | dreambooth"),
    ("benchmark", "quality", "metacloak | jpeg | dreambooth", "metacloak | none | dreambooth"),
    ("words", "ims_missing", TENTH.format(""), TENTH.format(", 1/10 rate")),
    *(
        (
            "decoupling",
            "coarse_texture",
            *(f"condition={photos} | {sheet}" for photos in ("protected 16/255", "clean")),
        )
        for sheet in (
            "plain & sheet=plain",
            "noise token & sheet=plain",
            "cdl & sheet=suffix-negative",
        )
    ),
]
SHIFTS = ("clip_towards", "decoded_towards", "latent", "loss", "identity_shift")


def rounded(value, digits):
    """Half up, as the pages round."""
    step = Decimal(1).scaleb(-digits)
    return float(Decimal(repr(float(value))).quantize(step, ROUND_HALF_UP)) + 0.0


def triples(text):
    """Mean and interval as written, with how many digits; lines of tables are left out."""
    for line in text.splitlines():
        if not line.startswith("|"):
            for found in TRIPLE.finditer(line):
                digits = len(found[1].partition(".")[2])
                yield found[0], digits, tuple(float(n.replace("−", "-")) for n in found.groups())


def prose(path):
    """A page's text, or that of a notebook's cells."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def measured():
    """Mean, low and high of every verdict and every cell of the shipped results, and of what is
    said besides: a few differences, correlations, and mediation."""
    kept = {name: Measurement.read(name) for name in available("mini")}
    for one in kept.values():
        for table in (one.verdicts(), one.means(one.metrics, ["condition", "sheet"])):
            yield from table[["mean", "low", "high"]].itertuples(index=False, name=None)
    for name, metric, high, low in BY_HAND:
        contrast = Contrast("by hand", metric, {high: 1, low: -1})
        (row,) = judge(kept[name].frame, [contrast]).to_dict("records")
        yield row["mean"], row["low"], row["high"]
    rows = numbers.shifts_and_harms()
    for shift in SHIFTS:
        for harm in ("quality", "texture", "ims_missing"):
            value = correlation(rows, shift, harm)
            yield value["value"], value["low"], value["high"]
    split = mediate(rows, "quality", mismatch.PATHS).table
    yield from split[["effect", "low", "high"]].itertuples(index=False, name=None)
    for value in shipped("identifier")["goes_with"]:
        yield value["value"], value["low"], value["high"]


@pytest.fixture(scope="module")
def known():
    """What may be said, by how many digits it is said with; of a fall as well as of a rise."""
    sets = {digits: set() for digits in DIGITS}
    for mean, low, high in measured():
        if not any(map(math.isnan, (mean, low, high))):
            for digits, said in sets.items():
                said.add(tuple(rounded(value, digits) for value in (mean, low, high)))
                said.add(tuple(rounded(-value, digits) for value in (mean, high, low)))
    return sets


@pytest.mark.parametrize(
    "path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_what_is_said_was_measured(path, known):
    stale = [text for text, digits, said in triples(prose(path)) if said not in known[digits]]
    assert not stale, f"no shipped result has: {', '.join(stale)}"


def test_ranges_over_attacks_are_those_of_the_results():
    """What is said of the thirteen that cover V* with texture, and has no interval."""
    attacks = by_attack(read()).set_index("attack")
    covering = attacks[attacks["texture_change"] > COVERED]
    harms = numbers.harms_by_word("texture").pivot(index="name", columns="group", values="mean")
    harms = harms[harms["V*"] > COVERED]
    assert len(covering) == len(harms) == 13
    fall, rise, gap = -covering["quality_change"], harms["V*"], harms["V* − class"]
    said = {
        "results/attacks.md": f"{rise.min():.1f} grey levels and more, and take "
        f"{fall.min():.2f} to {fall.max():.2f} of quality",
        "shortcut.md": f"V* with {rise.min():.1f} to {rise.max():.1f} grey levels of texture",
        "results/shortcut.md": f"leave a gap\nof {gap.min():.1f} to {gap.max():.1f} grey levels",
    }
    for page, text in said.items():
        assert text in (ROOT / "docs" / page).read_text("utf-8"), f"{page}: {text}"
    likeness = covering[covering["ims_missing_change_high"] < 0]["ims_missing_change"]
    text = f"take some as well, by {-likeness.max():.2f} to {-likeness.min():.2f}"
    assert len(likeness) == 4 and text in (ROOT / "docs/results/attacks.md").read_text("utf-8")


def test_counts_and_shares_over_attacks_are_those_of_the_results():
    """What is said of gaps and of mediation, and has no interval."""
    harms = {score: numbers.harms_by_word(score) for score in ("ims_missing", "texture", "quality")}
    alike = harms["ims_missing"]
    gaps = alike[(alike["group"] == "V* − class") & (alike["verdict"] == "confirmed")]
    largest = {
        score: table[table["group"] == "class"]["mean"].max() for score, table in harms.items()
    }
    split = {}
    for harm in ("quality", "texture"):
        table = mediate(numbers.shifts_and_harms(), harm, mismatch.PATHS, resamples=0).table
        table = table.set_index("path")
        split[harm] = (100 * table["share"]).round().to_dict()
    assert len(gaps) == 9
    said = (
        f"Nine attacks leave a gap in likeness, PhotoGuard the largest ({gaps['mean'].max():.2f})",
        f"{largest['texture']:.2f} grey levels at the most, under `decoded-shift`, and "
        f"{largest['quality']:.2f} of quality",
    )
    page = (ROOT / "docs/results/shortcut.md").read_text("utf-8")
    assert all(text in page for text in said)
    assert f"{split['texture']['diffusion loss']:.0f} % go" in (
        ROOT / "docs/results/shift.md"
    ).read_text("utf-8")
    thirds = ("CLIP shift that the model sees", "diffusion loss", "direct")
    assert [split["quality"][path] for path in thirds] == [35, 29, 36]
    notebook = prose(ROOT / "notebooks/04_latent_mismatch.ipynb")
    assert "three tenths through the loss, a third through neither" in notebook


def test_a_stale_number_is_seen(known):
    """Most numbers would be seen if their last digit moved: few others are near."""
    moved = [
        (digits, (rounded(mean + 10.0**-digits, digits), low, high))
        for path in [*PAGES, *NOTEBOOKS]
        for _, digits, (mean, low, high) in triples(prose(path))
    ]
    seen = [triple not in known[digits] for digits, triple in moved]
    assert len(seen) > 100 and sum(seen) / len(seen) > 0.8
