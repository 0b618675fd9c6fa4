"""The model card: every measure, what training cost, and which bars are reached."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ...errors import UserError
from ...files import write_json
from ...lab import Lab
from ...profile import Profile, load_profile
from . import autoencoder, clips, personalisation, purifiers, recognition, text_to_image
from .attributes import attributes
from .damage import damage

Bars = tuple[tuple[str, str, float], ...]
CARD = Path(__file__).parents[1] / "card.json"
WEIGHTS = Path(__file__).parents[1] / "weights"
PACKAGED = "package:mini/weights/"

# (key, comparison, bar): what the models must reach, on people they never saw.
BARS: Bars = (
    ("vae.psnr_clean", ">=", 32.0),
    ("vae.psnr_noisy", ">=", 21.0),
    ("vae.attributes_lost", "<=", 2.0),
    ("clip.person_vs_pattern", ">=", 0.99),
    ("clip.clean_vs_noisy", ">=", 0.97),
    ("clip.recall_at_1_over_chance", ">=", 10.0),
    ("identity.auc_clean", ">=", 0.99),
    ("attributes.accuracy", ">=", 0.95),
    ("damage.auc", ">=", 0.95),
    ("damage.monotone", ">=", 1.0),
    ("detector.found", ">=", 0.99),
    ("detector.false_alarms", "<=", 0.02),
    ("purifiers.likeness_restorer", ">=", 0.97),
    ("purifiers.likeness_ddspure", ">=", 0.97),
    ("purifiers.likeness_sr", ">=", 0.93),
    ("purifiers.psnr_sr", ">=", 26.0),
    ("text_to_image.found", ">=", 0.99),
    ("text_to_image.obeyed", ">=", 0.85),
    ("text_to_image.noisy_prompt_is_noisy", ">=", 0.9),
    ("text_to_image.kid", "<=", 0.0006),  # half of the first miniature's: 0.0010 and 0.0014
    ("copies.closeness", "<=", 1.25),
    ("copies.closest", "<=", 1.25),
    ("ensemble.found", ">=", 0.98),
    ("personalisation.reached", ">=", 0.9),
)
# Of models that a profile may have besides: judged where they are there.
FURTHER: Bars = (
    ("clip_plain.recall_to_other", ">=", 1.0),
    ("identity_hardened.auc_clean", ">=", 0.99),
    ("identity_hardened.auc_noisy", ">=", 0.99),
)
NEEDS = {"clip_plain": "clip-plain", "identity_hardened": "identity-hardened"}
"""Which of the profile's ``measures`` a measure of the card wants."""
MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "vae": autoencoder.vae,
    "clip": clips.clip,
    "clip_plain": clips.clip_plain,
    "identity": recognition.identity_encoder,
    "identity_hardened": recognition.hardened_encoder,
    "attributes": attributes,
    "damage": damage,
    "detector": recognition.detector,
    "purifiers": purifiers.purifiers,
    "text_to_image": text_to_image.text_to_image,
    "ensemble": text_to_image.ensemble,
    "copies": text_to_image.copies,
    "personalisation": personalisation.personalisation,
}


def in_folder(weights: Path) -> Profile:
    """The profile ``mini`` with its packaged models from another folder, where that has them."""
    content = load_profile("mini").model_dump()

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(each) for key, each in value.items()}
        if isinstance(value, list):
            return [moved(each) for each in value]
        if isinstance(value, str) and value.startswith(PACKAGED):
            path = weights / value.removeprefix(PACKAGED)
            return str(path.resolve()) if path.exists() else value
        return value

    return Profile.model_validate(moved(content))


def judge(measured: dict[str, dict[str, Any]], bars: Bars) -> list[dict[str, Any]]:
    """Each bar whose model was measured, with its value and whether it is reached."""
    rows = []
    for key, sign, bar in bars:
        model, name = key.split(".")
        if model in measured:
            value = measured[model][name]
            reached = value >= bar if sign == ">=" else value <= bar
            row = {"key": key, "value": value, "sign": sign, "bar": bar, "reached": reached}
            rows.append(row)
    return rows


def evaluate(
    seed: int = 0,
    only: list[str] | None = None,
    lab: Lab | None = None,
    weights: Path | None = None,
) -> dict[str, Any]:
    """Measure every model (or some) and judge each number against its bar.

    Args:
        weights: a folder of models in training; None is the shipped models.

    Raises:
        UserError: a measure that there is not, or no such folder.

    Returns ``{"seed", "measured": {model: {name: number}}, "bars": [{…, "reached"}]}``.
    """
    if unknown := sorted(set(only or []) - set(MEASURES)):
        raise UserError(f"there is no measure {unknown[0]!r}; there are {', '.join(MEASURES)}")
    if weights is not None and not weights.is_dir():
        raise UserError(f"there is no folder {weights}: name the one that training writes into")
    lab = lab or Lab("mini" if weights is None else in_folder(weights))
    if only is None:
        only = [name for name in MEASURES if NEEDS.get(name) in (None, *lab.profile.measures)]
    measured = {name: MEASURES[name](lab, seed=seed) for name in MEASURES if name in only}
    bars = judge(measured, BARS + FURTHER)
    return {"seed": seed, "measured": measured, "bars": bars}


def write_card(measured: dict[str, Any]) -> Path:
    """Write ``card.json``: what was measured, what training cost, and on what machine."""
    costs = WEIGHTS / "costs.json"
    training = json.loads(costs.read_text("utf-8")) if costs.is_file() else {}
    machine = {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    write_json(CARD, measured | {"training": training, "machine": machine})
    return CARD
