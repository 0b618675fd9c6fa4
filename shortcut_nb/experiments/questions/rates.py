"""At which rate does each other method teach a person and keep the class? On clean pictures only.

DreamBooth's rates are the question ``regime``. These are chosen as those were: on validation people
and before any attack is looked at. Nothing is predicted: the highest
identity is taken, and of two within 0.05 the one that spoils the class less.
"""

from __future__ import annotations

from ...profile import Profile
from ..experiment import CLEAN, JOIN, Cell, Experiment
from .regime import PEOPLE

STEPS = 120
# Of the UNet and of the text encoder alike, a factor of three apart.
RATES: dict[str, tuple[float, ...]] = {
    "dreambooth-lora": (1 / 3e3, 1e-3, 3e-3, 1e-2),
    "textual-inversion": (1e-3, 1 / 3e2, 1e-2, 3e-2),
    "custom-diffusion": (4 / 3e4, 4e-4, 4 / 3e3, 4e-3, 12e-3),
}
BASE, DREAMBOOTH = "base model", "dreambooth"


def cell_of(trainer: str, rate: float) -> Cell:
    """A method at a rate."""
    return Cell(trainer=trainer, training={"steps": STEPS, "lr": rate, "text_lr": rate})


def candidates() -> dict[str, Cell]:
    """Each method at each of its rates."""
    return {
        f"{trainer}{JOIN}{rate:.2g}": cell_of(trainer, rate)
        for trainer, rates in RATES.items()
        for rate in rates
    }


def experiment(profile: Profile) -> Experiment:
    """Clean training of four validation people by every method but DreamBooth, at each rate."""
    return Experiment(
        name="rates",
        question="At which rate does each method teach the person and keep the class?",
        cells={BASE: Cell(training={"steps": 0}), DREAMBOOTH: CLEAN} | candidates(),
        subjects=PEOPLE[:4],
        seeds=(0,),
    )
