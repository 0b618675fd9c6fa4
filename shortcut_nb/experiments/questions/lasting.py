"""Does a remedy last, or does the harm come back while one trains on?

The other questions about remedies look when training ends. Where it ends is a choice: a remedy that
only delays the harm would look as good there. So each treatment is looked at on the way, and after
twice as many steps at the same highest rate, and held against clean training at the same place. The
contrasts were written before anything on the way or after twice the steps was looked at; how the
usual training ends was known.
"""

from __future__ import annotations

from typing import Any

from ...analysis.lead import on_the_way
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, OWN, Experiment, Sheet
from ..scores import better, contrasts_between, worse
from .methods import usual_steps
from .story import CONDITIONS

REMEDIES = ("purified", "cdl", "purified + cdl")
USUAL, TWICE = "usual", "twice"
SHARES = (1 / 12, 1 / 6, 1 / 3, 1 / 2, 3 / 4)  # of the steps; and their end
SHEET = "instance"
SCORES = worse("quality", "texture", "ims_missing")
BACK = better(*SCORES)
SETTLED = 1 / 3  # of the steps: the rate rises until 1/6, before which no harm is expected
FADED = 0.1  # of quality: what would matter


def lengths(profile: Profile) -> dict[str, dict[str, Any]]:
    """The usual number of steps and twice as many, at the same highest rate."""
    return {USUAL: {}, TWICE: {"training": {"steps": 2 * usual_steps(profile)}}}


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


def _quality(name: str, weights: dict[str, float], **further: Any) -> Contrast:
    """No difference of quality that would matter, to either side."""
    return Contrast(name, "quality", weights, expect="0", margin=FADED, **further)


def growing(remedy: str) -> Contrast:
    """The harm that a remedy leaves after twice the steps, less what it leaves usually.

    Harm is the distance to clean training of the same length.
    """
    weights = {
        cell(remedy, TWICE): 1.0,
        cell("clean", TWICE): -1.0,
        cell(remedy, USUAL): -1.0,
        cell("clean", USUAL): 1.0,
    }
    name = f"what harm {remedy} leaves does not grow"
    return _quality(name, weights, primary=remedy == REMEDIES[0])


def left(remedy: str, length: str, share: float) -> Contrast:
    """What a remedy leaves of the harm to quality after a share of the steps."""
    weights = {cell(remedy, length): 1.0, cell("clean", length): -1.0}
    name = f"{remedy} leaves no harm to quality, {length} steps, after {share:.2f} of them"
    return _quality(name, weights, sheet=on_the_way(SHEET, share))


def over_the_way(length: str) -> list[Contrast]:
    """Once the rate has risen the harm shows at each look; no remedy leaves any, at none."""
    harmed, clean = cell("protected", length), cell("clean", length)
    predictions = [left(remedy, length, share) for share in (*SHARES, 1.0) for remedy in REMEDIES]
    for share in (share for share in SHARES if share >= SETTLED):
        name = f"protection harms {{word}}, {length} steps, after {share:.2f} of them"
        predictions += contrasts_between(
            name, harmed, clean, SCORES, sheet=on_the_way(SHEET, share)
        )
    return predictions


def contrasts() -> list[Contrast]:
    """The harm is there and each remedy helps, at both lengths; what a remedy leaves stays."""
    predictions = []
    for length in (USUAL, TWICE):
        harmed, clean = cell("protected", length), cell("clean", length)
        for control in ("clean", "random noise"):
            name = f"protection harms {{word}} more than {control}, {length} steps"
            predictions += contrasts_between(name, harmed, cell(control, length), SCORES)
        for remedy in REMEDIES:
            name = f"{remedy} is better in {{word}} than no defence, {length} steps"
            predictions += contrasts_between(name, cell(remedy, length), harmed, BACK)
        name = f"protection leaves the class its quality, {length} steps"
        predictions += [_quality(name, {harmed: 1.0, clean: -1.0}, sheet="class")]
        predictions += over_the_way(length)
    return [*predictions, *map(growing, REMEDIES)]


def experiment(profile: Profile) -> Experiment:
    """Six treatments at two lengths, each looked at six times."""
    return Experiment(
        name="lasting",
        question="Does a remedy last, or does the harm come back while one trains on?",
        axes={"treatment": CONDITIONS, "length": lengths(profile)},
        sheets=sheets(),
        contrasts=tuple(contrasts()),
        n=4,
    )
