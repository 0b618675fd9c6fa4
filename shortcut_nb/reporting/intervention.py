"""The question ``intervention`` for readers: shifts beside harms, and what the finding says."""

from __future__ import annotations

import pandas as pd

from ..analysis.shift_and_harm import correlation
from ..experiments.measured import Measurement
from ..experiments.questions.intervention import (
    AS_FAR,
    MAIN,
    MEANING,
    NOISE,
    SEEN,
    SEES_MORE,
    SHIFTER,
    TURNED,
    beyond_noise,
)
from ..experiments.questions.mismatch import PURIFIED
from ..experiments.questions.strength import NOISE as NOISES
from ..plots.palette import FAMILY_OF
from ..probes.shifts import SHIFTS
from . import display
from .argument import Answer, Values
from .numbers import shifts_and_harms

ATTACK_NAMES = {attack: display.ATTACKS[attack] for attack in (NOISE, MAIN, SHIFTER, SEEN)}
ATTACK_NAMES[TURNED] = f"{display.ATTACKS[SEEN]}, turned"
BASE = {"condition": "clean"}
TOWARDS = "decoded_towards"
PLAIN = "the photos', to a CLIP that knows no noise"
PANELS = {
    "clip_towards": "shift of the photos",
    TOWARDS: "shift the model sees",
    "fall": "fall of quality",
}
"""Shifts towards noise in CLIP's space, of the photos and of decode(encode(photos)); the harm."""
LEAST, MOST = 0.1, 0.5  # of ASPL's fall of quality


def measurement() -> Measurement:
    """The shipped measurement."""
    return Measurement.read("intervention")


def table() -> pd.DataFrame:
    """One row per attack and panel: ``name, group, panel, mean, low, high``."""
    measured = measurement()
    rises = {column: measured.rise_over(column, BASE, []) for column in ("clip_towards", TOWARDS)}
    rises["fall"] = _turned(measured.rise_over("quality", BASE, []))
    return pd.concat([_named(rise, PANELS[column]) for column, rise in rises.items()])


def plain_shift() -> pd.DataFrame:
    """The shift of the photos to the CLIP that never heard of noise, in the form of a panel."""
    return _named(measurement().rise_over("plain_towards", BASE, []), PLAIN)


def _named(rise: pd.DataFrame, panel: str) -> pd.DataFrame:
    own = rise.set_index("condition").loc[list(ATTACK_NAMES), ["mean", "low", "high"]]
    groups = FAMILY_OF | {TURNED: FAMILY_OF[SEEN]}
    names = {"name": list(ATTACK_NAMES.values()), "group": [groups[name] for name in ATTACK_NAMES]}
    return own.assign(panel=panel, **names)


def _turned(rise: pd.DataFrame) -> pd.DataFrame:
    """Changes with the sign reversed: a rise of -0.2 is a fall of 0.2."""
    return rise.assign(mean=-rise["mean"], low=-rise["high"], high=-rise["low"])


def turned_values(judged: pd.DataFrame, harmful: bool, most: float) -> Values:
    """Values for the finding: what ``decoded-shift`` does when its direction is reversed.

    Args:
        judged: verdicts, by contrast.
        harmful: whether the attack itself does harm; else there is nothing to explain.
        most: a fall of quality that is as good as none.

    Returns:
        ``meaning``: whether its direction matters, and turned it takes less quality beyond noise
        than ``most``, by the whole interval, though it moves the latents further; ``turned_far``:
        how many times as far as noise; ``turned_blotches``, ``seen_blotches``: the coarse texture
        that it adds beyond noise, and that the attack itself adds; ``what``: what does the harm, in
        a title.
    """
    wanted = {f"{MEANING}: quality": "confirmed", AS_FAR: "confirmed"}
    spared = -judged.loc[beyond_noise(TURNED, "quality"), "low"] < most
    as_wanted = all(judged.loc[name, "verdict"] == says for name, says in wanted.items())
    meaning = harmful and spared and as_wanted
    measured = measurement()
    far = measured.frame.groupby("condition")["latent"].mean()
    coarse = measured.rise_over("coarse_texture", BASE, []).set_index("condition")["mean"]
    return {
        "meaning": meaning,
        "turned_far": far[TURNED] / far[NOISE],
        "turned_blotches": coarse[TURNED] - coarse[NOISE],
        "seen_blotches": coarse[SEEN] - coarse[NOISE],
        "what": "A shift in meaning" if meaning else "A shift",
    }


def values_over_attacks() -> Values:
    """Values for the finding: rank correlations of shifts with harms over attacks, at equal PSNR.

    Returns:
        ``tried``: how many attacks were compared, on ``few`` people; ``closest``: whether the shift
        that the model sees goes with the fall of quality more closely than every other;
        ``texture_elsewhere``: whether texture, which asks no CLIP, goes more closely with the move
        of the latents.
    """
    rows = shifts_and_harms()
    texture = {
        name: correlation(rows, name, "texture", resamples=0)["value"]
        for name in (TOWARDS, "latent")
    }
    values = {
        name: correlation(rows, name, "quality", resamples=0)["value"]
        for name in (TOWARDS, *SHIFTS)
    }
    attacks = set(rows["condition"]) - {*NOISES, PURIFIED}
    return {
        "tried": len(attacks),
        "few": rows["subject"].nunique(),
        "closest": max(values, key=lambda name: values[name]) == TOWARDS,
        "texture_elsewhere": texture["latent"] > texture[TOWARDS],
    }


def mismatch_finding() -> tuple[Answer, Values]:
    """Does the shift in meaning do the harm?

    "partly" asks that the shift which gets through takes :data:`LEAST` of what ASPL takes, "yes"
    :data:`MOST`, and the shift of the photos, of which the paper speaks, as much; "no" that less is
    all that the interval allows, of an attack that moved further than ASPL.
    """
    rows = table().set_index("panel", append=True)["mean"].unstack()
    far, seen, fall = (rows[title] for title in PANELS.values())
    judged = measurement().verdicts().set_index("contrast")
    harm, main = judged.loc[beyond_noise(SEEN, "quality")], fall[MAIN]
    moved = judged.loc[SEES_MORE, "verdict"] == "confirmed"
    answer: Answer = "open"
    if harm["high"] < 0 and -harm["mean"] >= LEAST * main:
        most = min(-harm["mean"], fall[SHIFTER]) >= MOST * main
        answer = "yes" if most else "partly"
    elif moved and -harm["low"] < LEAST * main:
        answer = "no"
    broken = -measurement().rise_over("intact", BASE, []).set_index("condition")["mean"]
    harmful = answer in ("yes", "partly")
    return answer, {
        "noise_times": far[NOISE] / far[MAIN],
        "noise_fall": max(0.0, fall[NOISE]),
        "main_fall": main,
        "times": far[SHIFTER] / far[MAIN],
        "fall": max(0.0, fall[SHIFTER]),
        "seen_times": seen[SEEN] / seen[MAIN],
        "seen_fall": max(0.0, fall[SEEN]),
        "seen_broken": broken[SEEN],
        "main_broken": broken[MAIN],
        "harmful": harmful,
        **turned_values(judged, harmful, LEAST * main),
        **values_over_attacks(),
    }
