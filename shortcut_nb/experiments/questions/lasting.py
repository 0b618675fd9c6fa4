"""Does a remedy last, or does the harm come back while one trains on?

Every other question looks when training ends. Where it ends is a choice: a remedy that only delays
the harm would look as good there. So each treatment is looked at on the way, and after twice as
many steps at the same highest rate. The contrasts were written before any of it was measured.
"""

from __future__ import annotations

from typing import Any

from ...analysis.lead import on_the_way
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, OWN, Experiment, Sheet
from ..scores import Scores, against, better, worse

TREATMENTS: dict[str, dict[str, Any]] = {
    "clean": {},
    "random noise": {"attack": "noise"},
    "protected": {"attack": "aspl"},
    "purified": {"attack": "aspl", "purifier": "profile"},
    "cdl": {"attack": "aspl", "prompts": "cdl"},
    "purified + cdl": {"attack": "aspl", "purifier": "profile", "prompts": "cdl"},
}
REMEDIES = ("purified", "cdl", "purified + cdl")
USUAL, TWICE = "usual", "twice"
SHARES = (1 / 12, 1 / 6, 1 / 3, 1 / 2, 3 / 4)  # of the steps; and their end
SHEET = "instance"
SCORES = worse("quality", "texture", "ims_missing")
BACK = better(*SCORES)
FADED = 0.1  # of quality: a remedy that gives so much less after twice the steps has faded


def lengths(profile: Profile) -> dict[str, dict[str, Any]]:
    """The usual number of steps and twice as many, at the same highest rate."""
    usual = profile.defaults.get("dreambooth", {}).get("steps", 1000)
    return {USUAL: {}, TWICE: {"training": {"steps": 2 * usual}}}


def sheets() -> dict[str, Sheet]:
    """V* on the way and at the end."""
    looks = {
        on_the_way(SHEET, share): OWN.model_copy(update={"at": share if share < 1 else None})
        for share in (*SHARES, 1.0)
    }
    return looks | {"class": Sheet(of="class")}


def cell(treatment: str, length: str) -> str:
    """The name of a treatment's cell at a length of training."""
    return f"{treatment}{JOIN}{length}"


def fading(remedy: str) -> Contrast:
    """What a remedy gives back of quality after twice the steps, less what it gives usually."""
    weights = {
        cell(remedy, TWICE): 1,
        cell("protected", TWICE): -1,
        cell(remedy, USUAL): -1,
        cell("protected", USUAL): 1,
    }
    name = f"what {remedy} gives back does not fade"
    return Contrast(name, "quality", weights, expect="0", margin=FADED)


def on_each_look(length: str, scores: Scores) -> list[Contrast]:
    """On the way: the harm shows, and each remedy keeps it away."""
    predictions = []
    for share in SHARES:
        further = {"sheet": on_the_way(SHEET, share)}
        where = f"{length} steps, after {share:.2f} of them"
        harmed = cell("protected", length)
        predictions += against(
            f"protection harms {{word}}, {where}", harmed, cell("clean", length), scores, **further
        )
        for remedy in REMEDIES:
            name = f"{remedy} keeps {{word}}, {where}"
            predictions += against(name, cell(remedy, length), harmed, BACK, **further)
    return predictions


def contrasts() -> list[Contrast]:
    """The harm is there and each remedy helps, at both lengths; none fades."""
    predictions = []
    for length in (USUAL, TWICE):
        harmed = cell("protected", length)
        for control in ("clean", "random noise"):
            name = f"protection harms {{word}} more than {control}, {length} steps"
            predictions += against(name, harmed, cell(control, length), SCORES)
        for remedy in REMEDIES:
            name = f"{remedy} restores {{word}}, {length} steps"
            decides = "quality" if (remedy, length) == ("purified", TWICE) else None
            predictions += against(name, cell(remedy, length), harmed, BACK, decides)
        predictions += on_each_look(length, SCORES)
    return [*predictions, *map(fading, REMEDIES)]


def experiment(profile: Profile) -> Experiment:
    """Six treatments at two lengths, each looked at six times."""
    return Experiment(
        name="lasting",
        question="Does a remedy last, or does the harm come back while one trains on?",
        axes={"treatment": TREATMENTS, "length": lengths(profile)},
        sheets=sheets(),
        contrasts=tuple(contrasts()),
        n=4,
    )
