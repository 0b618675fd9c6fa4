"""Does the harm follow V*? The table over attacks, on frames with known answers and for real."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from shortcut_nb.experiments import identifier

# condition: (texture of V*, of the class, shift of CLIP): "noise" harms neither.
LEVELS = {
    "clean": (1.0, 1.0, 0.0), "noise": (1.0, 1.0, 0.1), "advdm": (2.0, 1.9, 0.2),
    "aspl": (3.0, 1.5, 0.3), "pid": (2.0, 3.0, 0.15), "sds": (1.6, 1.1, 0.25),
}  # fmt: skip


def frames(subjects=6):
    """Texture as above, with subjects a grey level apart; quality and identity are noise."""
    rng, scored, moved = np.random.default_rng(0), [], []
    for i in range(subjects):
        for condition, (own, other, shift) in LEVELS.items():
            key = {"condition": condition, "eps": "16/255", "subject": f"s{i}", "seed": 0}
            for prompt, level in (("instance", own), ("class", other), ("negative", 9.0)):
                scored += [
                    key | {"prompt": prompt, "image": image, "quality": rng.normal(),
                           "texture": level + i + 0.05 * rng.normal(), "ims_missing": rng.normal()}
                    for image in range(3)
                ]  # fmt: skip
            moved.append(key | {"clip_towards": shift + 0.001 * rng.normal(),
                                "misled": rng.normal(), "psnr": rng.normal()})  # fmt: skip
    return pd.DataFrame(scored), pd.DataFrame(moved)


def test_harm_is_a_change_against_clean_pictures_turned_to_be_positive():
    scored, _ = frames()
    rows = identifier.harms(scored)
    assert len(rows) == 5 * 6 * 3 and set(rows["condition"]) == set(LEVELS) - {"clean"}
    part = rows[(rows["condition"] == "aspl") & (rows["subject"] == "s4")].set_index("score")
    table = scored[scored["subject"] == "s4"].pivot_table(
        index="condition", columns="prompt", values=["texture", "quality"]
    )
    for score, sign in (("texture", 1), ("quality", -1)):
        rise = sign * (table.loc["aspl", score] - table.loc["clean", score])
        assert part.loc[score, "V*"] == pytest.approx(rise["instance"])
        assert part.loc[score, "class"] == pytest.approx(rise["class"])
        assert part.loc[score, identifier.GAP] == pytest.approx(rise["instance"] - rise["class"])


def test_verdicts_over_attacks():
    found = identifier.table(identifier.harms(frames()[0]))
    gaps = found[(found["whose"] == identifier.GAP) & (found["score"] == "texture")]
    says = gaps.set_index("attack")["verdict"]
    assert (says["aspl"], says["pid"]) == ("confirmed", "refuted")
    assert gaps.set_index("attack").loc["aspl", "mean"] == pytest.approx(1.5, abs=0.1)
    counts = identifier.summary(found)
    assert counts.loc["texture"].sum() == 4  # noise is no attack
    assert counts.loc["texture", "refuted"] == 1 and counts.loc["texture", "confirmed"] >= 2
    shown = identifier.against(found, "texture")
    assert shown.index[0] == "aspl" and shown.loc["pid", identifier.GAP].endswith(" refuted")
    assert float(shown.loc["aspl", "V*"].split()[0]) == pytest.approx(2.0, abs=0.1)


def test_correlation_is_over_attacks_with_what_v_star_has_alone():
    scored, moved = frames()
    rows = identifier.harms(scored)
    found = pd.DataFrame(identifier.goes_with(rows, moved, 400))
    assert len(found) == 2 * 3 * 2  # shifts, scores, given
    row = found[(found["shift"] == "clip_towards") & (found["score"] == "texture")].iloc[0]
    both = rows[rows["score"] == "texture"].merge(moved, on=identifier.KEYS)
    assert row["value"] == pytest.approx(spearmanr(both["clip_towards"], both[identifier.GAP])[0])
    assert row["verdict"] == "confirmed" and row["n"] == 30


def test_report_can_be_read_back(tmp_path):
    scored, moved = frames()
    bare = scored[scored["condition"].isin(["clean", "aspl"])]
    identifier.report(scored, moved, bare, "16/255", tmp_path)
    content = json.loads((tmp_path / "identifier.json").read_text())
    assert len(content["rows"]) == 5 * 3 * 3 and content["eps"] == "16/255"
    shown = identifier.against(pd.DataFrame(content["rows"]), "quality")
    assert len(shown) == 5
    assert [row["mean"] for row in content["without_prior"]] == pytest.approx([0] * 9)
    assert [row["score"] for row in identifier.claims(content)] == list(identifier.HARMS)
    assert {row["claim"] for row in identifier.claims(content)} == {identifier.SPARED}
    for score in identifier.HARMS:
        assert (tmp_path / f"identifier_{score}.png").stat().st_size > 1000


def test_without_prior_preservation_the_class_is_harmed_more():
    """Planted: without it the class has ASPL's texture as V* has it; PID is as before."""
    scored, _ = frames()
    own = scored["condition"].isin(["clean", "aspl", "pid"])
    bare = scored[own].copy()
    spoilt = (bare["condition"] == "aspl") & (bare["prompt"] == "class")
    bare.loc[spoilt, "texture"] += 1.5
    found = identifier.compare_priors(*(identifier.harms(one) for one in (scored, bare)))
    assert set(found["attack"]) == {"aspl", "pid"}
    texture = found[found["score"] == "texture"].set_index(["attack", "whose"])
    assert texture.loc[("aspl", "class"), "mean"] == pytest.approx(1.5)
    assert texture.loc[("aspl", identifier.GAP), "mean"] == pytest.approx(-1.5)
    assert texture.loc[("aspl", identifier.GAP), "without"] == pytest.approx(0, abs=0.1)
    says = texture["verdict"].to_dict()
    assert says["aspl", "class"] == says["aspl", identifier.GAP] == "confirmed"
    assert says["pid", "class"] == "undecided" and says["aspl", "V*"] == ""


def test_cells_without_prior_preservation_train_on_instance_pictures_only():
    cells = identifier.unpreserved("8/255")
    assert list(cells) == ["clean", *identifier.UNPRESERVED]
    assert all(cell.training == (("prior_weight", 0.0),) for cell in cells.values())
    assert cells["aspl"].eps == "8/255" and cells["clean"].attack is None
