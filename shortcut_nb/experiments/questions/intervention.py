"""Does the shift in meaning do the harm? Attacks that make this shift and nothing else.

If it does, they must harm more than random noise, which moves CLIP as well. ``clip-shift`` climbs
the shift of the pictures, ``decoded-shift`` that of what the model sees of them, after its
autoencoder, at ASPL's energy. The contrasts were written before this was measured.

Meaning or size? ``decoded-shift`` also moves what the model sees further than noise does. So the
same attack with its direction turned, away from noise and towards the person, is the control: as
much energy, by the same path, with the other meaning. It was added when the rest had been seen, its
contrasts before it was measured.
"""

from __future__ import annotations

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Cell, Experiment
from ..scores import contrasts_between
from .argument import measures, sample_probes

EPS = "16/255"
NOISE, MAIN, SHIFTER, SEEN = "noise", "aspl", "clip-shift", "decoded-shift"
TURNED = "decoded-shift, turned"
MOVED = "ASPL moves what the model sees more than random noise"
SEES_MORE = "decoded-shift moves what the model sees more than ASPL"
# Which shift is larger where: a column of the image probe "shifts", and two cells.
MOVES = {
    "ASPL moves CLIP more than random noise": ("clip_towards", MAIN, NOISE),
    MOVED: ("decoded_towards", MAIN, NOISE),
    "clip-shift moves CLIP more than ASPL": ("clip_towards", SHIFTER, MAIN),
    SEES_MORE: ("decoded_towards", SEEN, MAIN),
}
AS_FAR = "turned, it moves the latents further than random noise"
MEANING = "its direction matters"


def beyond_noise(attack: str, word: str) -> str:
    """The name of a contrast: what an attack on the shift alone does beyond noise."""
    return f"{attack} harms {word} more than random noise does"


def experiment(profile: Profile) -> Experiment:
    """Clean pictures, noise, ASPL, the two attacks on the shift alone, and the second turned."""
    scores = measures(profile)
    predictions = [Contrast(name, c, {high: 1, low: -1}) for name, (c, high, low) in MOVES.items()]
    for attack in (SEEN, SHIFTER, MAIN):
        primary = "quality" if attack == SEEN else None
        predictions += contrasts_between(
            beyond_noise(attack, "{metric}"), attack, NOISE, scores, primary
        )
    predictions.append(Contrast(AS_FAR, "latent", {TURNED: 1, NOISE: -1}))
    predictions += contrasts_between(beyond_noise(TURNED, "{metric}"), TURNED, NOISE, scores)
    predictions += contrasts_between(f"{MEANING}: {{metric}}", SEEN, TURNED, scores)
    attacks = {name: Cell(attack=name, eps=EPS) for name in (NOISE, MAIN, SHIFTER, SEEN)}
    attacks[TURNED] = Cell(attack=SEEN, eps=EPS, settings={"direction": -1})
    return Experiment(
        name="intervention",
        question="Does an attack on nothing but the shift in meaning do harm?",
        cells={"clean": Cell(eps=EPS)} | attacks,
        image_probes=("shifts",),
        contrasts=tuple(predictions),
        subjects=12,
        sample_probes=sample_probes(scores),
    )
