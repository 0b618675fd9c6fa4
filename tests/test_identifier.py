"""Does the harm follow V*? The table over attacks, on frames with known answers and for real."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from shortcut_nb.experiments.contrasts import judge, per_subject
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import identifier
from shortcut_nb.reporting.shipped import shipped

# condition: (texture of V*, of the class, shift of CLIP): "noise" harms neither.
LEVELS = {
    "clean": (1.0, 1.0, 0.0), "noise": (1.0, 1.0, 0.1), "advdm": (2.0, 1.9, 0.2),
    "aspl": (3.0, 1.5, 0.3), "pid": (2.0, 3.0, 0.15), "sds": (1.6, 1.1, 0.25),
}  # fmt: skip


KEYS = ["condition", "eps", "subject"]


def frames(subjects=6, eps="16/255", seeds=2):
    """Texture as above, with subjects a grey level apart; quality and identity are noise.

    The second seed adds a grey level to everything, PSNR is a confounder: it is what CLIP sees.
    """
    rng, scored, moved = np.random.default_rng(0), [], []
    for i in range(subjects):
        for seed in range(seeds):
            for condition, (own, other, shift) in LEVELS.items():
                key = {"condition": condition, "eps": eps, "subject": f"s{i}", "seed": seed}
                for prompt, level in (("instance", own), ("class", other), ("negative", 9.0)):
                    scored += [
                        key | {"sheet": prompt, "image": image, "quality": rng.normal(),
                               "texture": level + i + seed + 0.05 * rng.normal(),
                               "ims_missing": rng.normal()}
                        for image in range(3)
                    ]  # fmt: skip
                seen = shift + 0.02 * rng.normal()
                psnr = 30 - 10 * seen + 0.3 * rng.normal()
                moved.append(key | {"clip_towards": seen, "misled": rng.normal(), "psnr": psnr})
    return pd.DataFrame(scored), pd.DataFrame(moved)


ATTACKS = [name for name in LEVELS if name != "clean"]


def test_harm_is_a_change_against_clean_pictures_turned_to_be_positive():
    """Within a person, over both seeds."""
    scored, _ = frames()
    table = scored[scored["subject"] == "s4"].pivot_table(
        index="condition", columns="sheet", values=["texture", "quality", "ims_missing"]
    )
    for score, sign in (("texture", 1), ("quality", -1), ("ims_missing", -1)):
        rise = sign * (table.loc["aspl", score] - table.loc["clean", score])
        each = {
            whose: per_subject(scored, identifier.contrast_of("aspl", score, whose))["s4"]
            for whose in identifier.WHOSE
        }
        assert each["V*"] == pytest.approx(rise["instance"])
        assert each["class"] == pytest.approx(rise["class"])
        assert each[identifier.GAP] == pytest.approx(rise["instance"] - rise["class"])


def test_verdicts_over_attacks():
    table = identifier.table(frames()[0], ATTACKS)
    assert len(table) == 5 * 3 * 3
    gaps = table[(table["whose"] == identifier.GAP) & (table["score"] == "texture")]
    says = gaps.set_index("attack")["verdict"]
    assert (says["aspl"], says["pid"]) == ("confirmed", "refuted")
    assert gaps.set_index("attack").loc["aspl", "mean"] == pytest.approx(1.5, abs=0.1)


def test_correlation_is_over_attacks_with_the_gap():
    scored, moved = frames()
    both = scored.merge(moved, on=[*KEYS, "seed"])
    table = pd.DataFrame(identifier.goes_with(both, ATTACKS, 400))
    assert len(table) == 2 * 3 * 2  # shifts, scores, given
    own = table[(table["shift"] == "clip_towards") & (table["score"] == "texture")]
    plain, partial = own[own["given"].isna()].iloc[0], own[own["given"] == "psnr"].iloc[0]
    each = moved.groupby(["condition", "subject"])[["clip_towards", "psnr"]].mean()
    gaps = {
        name: per_subject(scored, identifier.contrast_of(name, "texture", identifier.GAP))
        for name in ATTACKS
    }
    both = each.join(pd.concat(gaps, names=["condition"]).rename("gap"), how="inner")
    x, y, z = both["clip_towards"], both["gap"], both["psnr"]
    xy, xz, yz = (spearmanr(*pair)[0] for pair in ((x, y), (x, z), (y, z)))
    assert plain["value"] == pytest.approx(xy) and plain["n"] == 30
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial["value"] == pytest.approx(expected)
    assert plain["verdict"] == "confirmed" and abs(expected) < xy - 0.1


def test_what_bench_keeps_gives_the_same_tables(tmp_path):
    scored, moved = frames()
    scored = scored.merge(moved, on=[*KEYS, "seed"])
    Measurement.of("identifier", scored).write(tmp_path)
    content = shipped("identifier", folder=tmp_path)
    assert len(content["rows"]) == 5 * 3 * 3 and content["eps"] == "16/255"
    assert len(content["goes_with"]) == 12


def test_the_question_has_the_cells_of_its_contrasts():
    question = open_experiment("identifier", load_profile("mini"))
    every = question.all_cells()
    rows = [
        labels | {"condition": name, "subject": who, "sheet": sheet, "quality": 0.0, "texture": 0.0}
        for name, (_, labels) in every.items()
        for sheet in question.sheets
        for who in "ab"
    ]
    judged = judge(pd.DataFrame(rows), question.contrasts)  # strict: every cell is there
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1
