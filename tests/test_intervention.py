"""The attacks on the shift alone: what is asked, and what a frame says of it."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import intervention, open_experiment
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import findings
from shortcut_nb.reporting import intervention as reported

TURNED = intervention.TURNED
SHIFTS = {"clean": 0.0, "noise": 0.4, "aspl": 0.38, "clip-shift": 1.0, "decoded-shift": 0.6,
          TURNED: -0.2}  # fmt: skip
SEEN = {"clean": 0.0, "noise": 0.02, "aspl": 0.2, "clip-shift": 0.1, "decoded-shift": 0.5,
        TURNED: -0.1}  # fmt: skip
QUALITY = {"clean": 0.97, "noise": 0.96, "aspl": 0.43, "clip-shift": 0.95, "decoded-shift": 0.95,
           TURNED: 0.97}  # fmt: skip


@pytest.fixture(scope="module")
def asked():
    return open_experiment("intervention", load_profile("mini"))


def contrasts_of(asked, frame):
    return tuple(one for one in asked.contrasts if one.metric in frame)


def frame_of(asked, quality, seen=SEEN):
    rng, rows = np.random.default_rng(0), []
    for name, (_, labels) in asked.all_cells().items():
        for person in range(12):
            for sheet in ("instance", "class"):
                row = {"condition": name, "subject": f"s{person}", "seed": 0, "sheet": sheet}
                row |= labels | {"clip_towards": SHIFTS[name], "decoded_towards": seen[name]}
                row |= {"intact": 0.5, "coarse_texture": 1.0}
                row["latent"] = (0.16 if name == "noise" else 0.25) + 0.001 * rng.random()
                rows.append(row | {"quality": quality[name] + 0.01 * rng.standard_normal()})
    return pd.DataFrame(rows)


def test_every_attack_on_the_shift_stands_beside_noise_and_aspl(asked):
    cells = [cell for cell, _ in asked.all_cells().values()]
    turned = asked.cells[TURNED]
    assert turned.attack == reported.SEEN and turned.settings == {"direction": -1}
    assert {cell.attack for cell in cells} == {
        "none",
        "noise",
        "aspl",
        *("clip-shift", reported.SEEN),
    }
    assert {cell.eps for cell in cells} == {"16/255"} and "shifts" in asked.image_probes
    (primary,) = [one for one in asked.contrasts if one.primary]
    assert (
        primary.name == intervention.beyond_noise("decoded-shift", "quality")
        and primary.expect == "-"
    )


def test_the_cells_are_those_of_the_argument(asked):
    argument = open_experiment("argument", load_profile("mini"))
    theirs = [cell for cell, _ in argument.all_cells().values()]
    own = asked.cells
    assert all(
        any(own[name].attack == cell.attack for cell in theirs) for name in ("noise", "aspl")
    )
    assert asked.sheets == argument.sheets and asked.n == argument.n


@pytest.mark.parametrize(
    ("quality", "answer"),
    [
        ({}, "no"),
        ({"decoded-shift": 0.8}, "partly"),
        ({"decoded-shift": 0.3}, "partly"),
        ({"decoded-shift": 0.3, "clip-shift": 0.3}, "yes"),
    ],
)
def test_the_finding_follows_the_harm(asked, monkeypatch, quality, answer):
    frame = frame_of(asked, QUALITY | quality)
    measured = Measurement.of("intervention", frame, contrasts=contrasts_of(asked, frame))
    monkeypatch.setattr(reported, "measurement", lambda: measured)
    text = findings.finding("mismatch")
    assert text.answer == answer
    meaning = "decoded-shift" in quality
    assert ("not only how far" in text.text) == meaning
    assert ("does not ask CLIP" in text.text) == (answer != "no")


def test_turned_it_must_be_as_good_as_harmless(asked, monkeypatch):
    """A fall that may be as large as a tenth of ASPL's is no proof that the direction matters."""
    frame = frame_of(asked, QUALITY | {"decoded-shift": 0.3, TURNED: 0.9})
    measured = Measurement.of("intervention", frame, contrasts=contrasts_of(asked, frame))
    monkeypatch.setattr(reported, "measurement", lambda: measured)
    assert "not only how far" not in findings.finding("mismatch").text


def test_a_shift_that_never_reached_the_model_decides_nothing(asked, monkeypatch):
    frame = frame_of(asked, QUALITY, SEEN | {"decoded-shift": 0.1})
    measured = Measurement.of("intervention", frame, contrasts=contrasts_of(asked, frame))
    monkeypatch.setattr(reported, "measurement", lambda: measured)
    assert findings.finding("mismatch").answer == "open"


def test_moves_are_judged_as_predicted(asked):
    frame = frame_of(asked, QUALITY)
    table = judge(frame, contrasts_of(asked, frame)).set_index("contrast")
    assert table.loc["ASPL moves CLIP more than random noise", "verdict"] == "refuted"
    further = table.loc["decoded-shift moves what the model sees more than ASPL", "mean"]
    assert further == pytest.approx(0.3)
