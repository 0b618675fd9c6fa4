"""Candidates of the regime keep the paper's ratios and are asked about clean training alone."""

import pytest

from shortcut_nb.experiments.questions import open_experiment
from shortcut_nb.experiments.questions.regime import CHOSEN, REGIMES, by_rule
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting.rates import mean_share

PAPER = {"lr": 5e-7, "steps": 1000, "unet": 1e-4, "text": 5e-4}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


def test_the_rule_keeps_the_papers_ratios():
    for steps in (60, 120, 240):
        rates = by_rule(steps)
        mean = mean_share(rates)
        unet = mean * rates["lr"] * rates["steps"] / 1e-3
        text = mean * rates["text_lr"] * rates["steps"] / 5e-4
        paper = {name: PAPER["lr"] * PAPER["steps"] / PAPER[name] for name in ("unet", "text")}
        assert (unet, text) == pytest.approx((paper["unet"], paper["text"]), rel=0.02)


def test_only_clean_training_of_validation_people_is_looked_at():
    asked = open_experiment("regime", load_profile("mini"))
    cells = asked.all_cells()
    assert len(cells) == len(REGIMES)
    for cell, _ in cells.values():
        assert cell.attack == "none" and cell.purifier == "none" and cell.prompts == "plain"
    assert all(name.startswith("mini:validation/") for name in asked.people(load_profile("mini")))
    assert [one.primary for one in asked.contrasts].count(True) == 1


def test_every_candidate_is_a_setting_that_the_trainer_takes(lab):
    for training in REGIMES.values():
        lab.personalize("dreambooth", **training)


def test_the_profile_trains_and_attacks_as_was_chosen():
    defaults, chosen = load_profile("mini").defaults, REGIMES[CHOSEN]
    for name in ("dreambooth", "cdl-dreambooth"):
        for key, value in chosen.items():
            expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-3)
            assert defaults[name][key] == expected, (name, key)
    for name in ("aspl", "fsmg", "metacloak", "simac", "adaptive-aspl"):
        own = defaults[name]
        rates = own["surrogate_lr"], own["surrogate_text_lr"]
        assert rates == pytest.approx((chosen["lr"], chosen["text_lr"]), rel=1e-3), name
        for key in ("lr_scheduler", "snr_gamma"):
            assert own[key] == chosen[key], (name, key)


def test_whoever_draws_class_pictures_draws_them_at_the_profiles_guidance():
    """One set for trainers, surrogates, CDL's own pairs and the notebooks."""
    profile = load_profile("mini")
    assert profile.prior_guidance_scale == 4.0
    assert not [name for name, own in profile.defaults.items() if "prior_guidance" in own]
    assert "prior_guidance" not in REGIMES[CHOSEN]
    assert REGIMES["the rule, 120 steps"]["prior_guidance"] == 2.0
