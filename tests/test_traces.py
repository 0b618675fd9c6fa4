"""Where the shortcut lives: real tables of a short training, and verdicts with known answers."""

import json

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments import traces
from shortcut_nb.experiments.stages import Stages
from shortcut_nb.store import Store

NAMES = {name for _, parts, _ in traces.PREDICTIONS for name in parts}


@pytest.fixture(scope="module")
def found(lab, subject, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces, "LEVELS", (50, 850))
        patch.setattr(traces, "DRAWS", 1)
        stages = Stages(lab, Store(tmp_path_factory.mktemp("store")))
        how = {"steps": 6, "class_images": 4, "batch_size": 2, "lr": 2e-4}
        first = traces.traces(stages, subject, attack="noise", n=2, **how)
        assert traces.traces(stages, subject, attack="noise", n=2, **how) == first
    return first


def test_tables_of_a_short_training(found):
    frames = {name: pd.DataFrame(rows) for name, rows in found.items()}
    assert (
        len(frames["attention"]) == 2 * 2 * 2
        and frames["attention"]["correlation"].abs().max() <= 1
    )
    assert len(frames["drift"]) == 2 * 2 * 2 and (frames["drift"]["distance"] > 0).all()
    losses = frames["losses"]
    assert set(losses["step"]) == {0, 1, 2, 3, 4, 6} and (losses["loss"] > 0).all()
    assert len(losses) == (1 + 2 * 5) * 2 * 2
    # Little noise is hard to see in a latent: the loss falls with the timestep.
    assert (
        losses[losses["timestep"] == 50]["loss"].mean()
        > losses[losses["timestep"] == 850]["loss"].mean()
    )
    assert set(frames["spectra"]["samples"]) == {"V*", "class", "random noise"}
    # "Protected" by random noise here, so random noise has its very spectrum.
    assert frames["spectra"].set_index("samples")["match"]["random noise"] == pytest.approx(1)


def test_every_prediction_has_its_measures(found):
    held = traces.measures(found)
    assert set(held) >= NAMES
    assert all(np.isfinite(held[name]) for name in NAMES)
    claims = [claim for claim, _, _ in traces.PREDICTIONS]
    assert len(set(claims)) == len(claims)


def test_falls_of_the_loss_are_shares_of_the_loss_before():
    levels = {("before", 0): 1.0, ("clean", 2): 1.0, ("clean", 6): 0.9,
              ("protected", 2): 0.7, ("protected", 6): 0.5}  # fmt: skip
    losses = [
        {"trained": trained, "step": step, "pictures": pictures, "timestep": t,
         "loss": level * (4 if pictures == "protected" else 9) * (1 if t < 300 else 2)}
        for (trained, step), level in levels.items()
        for pictures in ("clean", "protected") for t in (50, 850)
    ]  # fmt: skip
    held = traces.measures({"losses": losses, "attention": [], "drift": [], "spectra": []})
    for band in ("low", "high"):
        assert held[f"learned.protected.{band}"] == pytest.approx(0.5)
        assert held[f"learned.unseen.{band}"] == pytest.approx(0.1)
        assert held[f"early.protected.{band}"] == pytest.approx(0.6)


def rows(shift):
    rng, made = np.random.default_rng(0), []
    for i in range(6):
        for seed in (0, 1):
            row = {"subject": f"s{i}", "seed": seed}
            row |= {name: 0.3 * i + 0.01 * rng.normal() for name in sorted(NAMES)}
            made.append(row | {name: row[name] + shift.get(name, 0.0) for name in NAMES})
    return pd.DataFrame(made)


def test_verdicts_follow_the_measures():
    claims = {row["claim"]: row for row in traces.judged(rows({"spectrum.V*": 0.4,
              "moved.protected.class": 0.2}))}  # fmt: skip
    spectrum = claims["V* samples carry the perturbation's spectrum, more than class samples do"]
    assert spectrum["verdict"] == "confirmed" and spectrum["subjects"] == 6
    assert spectrum["difference"] == pytest.approx(0.4, abs=0.02)
    assert claims["V* moves further than the class word"]["verdict"] == "refuted"


def test_the_report_says_what_was_run(found, tmp_path):
    parts = [{name: [{"subject": who, "seed": 0} | row for row in table]
              for name, table in found.items()} for who in ("a", "b")]  # fmt: skip
    traces.report(parts, "noise", "16/255", 2, tmp_path)
    content = json.loads((tmp_path / "traces.json").read_text())
    assert content["subjects"] == ["a", "b"] and content["attack"] == "noise"
    assert content["samples"] == 2 and len(content["predictions"]) == len(traces.PREDICTIONS)
    assert {row["score"] for row in content["losses"]} == {"loss"}
