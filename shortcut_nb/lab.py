"""Lab: the façade. Hands out attacks, purifiers and trainers that hold the profile's models."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .machine.notices import announce
from .models import Models, NoSuchModel
from .profile import Profile, is_shipped

if TYPE_CHECKING:  # imported where they are first needed, so that a Lab is made without torch
    import pandas as pd
    import torch

    from .attacks import BoundAttack
    from .metrics import Metric
    from .personalize import BoundTrainer
    from .purify import BoundPurifier

log = logging.getLogger("shortcut_nb")


class Lab(Models):
    """Everything a profile names, and the attacks, purifiers and trainers that use it.

    Args:
        profile: a name ("mini", "sd15", "sd21:smoke"), a YAML file, or a Profile.
        device: "cpu", "cuda", "cuda:1", …; None takes CUDA if there is one.
        autocast: dtype of UNet and VAE arithmetic, float32, bfloat16 or float16; None is
            :func:`shortcut_nb.models.devices.fast_dtype`.

    Raises:
        ValueError: no such device here, another dtype, a profile that is not valid, or one whose
            defaults are of no known name or hold a wrong value.
        FileNotFoundError: no such profile.
        shortcut_nb.profile.MissingWeights: when a model is first used and is not on this machine.
    """

    def __init__(
        self,
        profile: str | Path | Profile = "mini",
        device: str | torch.device | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__(profile, device, autocast)
        announce(self.profile)
        if not is_shipped(self.profile):
            from .settings.defaults import check_defaults

            check_defaults(self.profile)

    def attack(self, name: str, /, preset: str = "profile", **params: Any) -> BoundAttack:
        """An attack by name, with a preset's settings under the given parameters.

        Args:
            name: of an attack; `shortcut-nb list attacks` shows them.
            preset: "profile" (the profile's defaults: one budget for all), or "paper" (the
                attack's own published budget and steps, meant for Stable Diffusion).
            params: fields of the attack's class; `shortcut-nb list attacks NAME` shows them.

        Raises:
            UserError: an unknown attack, parameter or preset, or a wrong value.
        """
        from .attacks import ATTACKS, BoundAttack, build

        if preset not in ("profile", "paper"):
            raise UserError(f"preset must be 'profile' or 'paper'; got {preset!r}")
        cls = ATTACKS[name]
        settings = self.profile.defaults.get(name, {}) if preset == "profile" else cls.paper
        return BoundAttack(build(name, **(settings | params)), self)

    def purifier(self, spec: str, /, class_name: str | None = None, **params: Any) -> BoundPurifier:
        """A purifier by name, or a chain ("jpeg+restorer"), each link with the profile's defaults.

        Args:
            spec: a name, or several joined by "+"; `shortcut-nb list purifiers` shows them.
            class_name: what the pictures show, for purifiers with a prompt; None is the profile's.
            params: fields of the purifier's class; `shortcut-nb list purifiers NAME` shows them.
                In a chain each goes to the one link that has it.

        Raises:
            UserError: an unknown purifier or parameter, a wrong value, or a model that the profile
                does not name.
        """
        from .purify import bound

        return bound(spec, self, class_name, **params)

    def personalize(self, name: str = "dreambooth", /, **params: Any) -> BoundTrainer:
        """A trainer by name, with the profile's defaults under the given parameters.

        Args:
            name: of a trainer; `shortcut-nb list trainers` shows them.
            params: fields of the trainer's class; `shortcut-nb list trainers NAME` shows them.

        Raises:
            UserError: an unknown trainer or parameter, or a wrong value.
        """
        from .personalize import TRAINERS, BoundTrainer
        from .settings import make

        cls = TRAINERS[name]
        trainer = make(cls, self.profile.defaults.get(name, {}) | params)
        trainer.admit(self.profile)
        return BoundTrainer(trainer, self)

    def score(
        self, images: Any, subject: Any, metrics: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row per picture: ``image``, and the columns of metrics.

        Args:
            images: (n, 3, H, W) float32 in [0, 1], what :func:`shortcut_nb.images.to_batch` makes
                into that, or a folder. Those of another size than the profile's are cut to squares
                and brought to it, as a folder's are.
            subject: identity is matched to its set C.
            metrics: names, or one; None is every registered metric that needs no originals and
                whose models are named.

        Raises:
            UserError: an unknown metric, one that needs originals, or one whose models are not
                named; says which.
        """
        from .images import fitted
        from .metrics import METRICS, check_metric, score_pictures

        chosen = self._metrics_at_hand() if metrics is None else {}
        if not isinstance(metrics, str | Sequence | None):
            raise UserError(f"metrics must be a name or a list of names; got {metrics!r}")
        for name in [metrics] if isinstance(metrics, str) else metrics or ():
            check_metric(name)
            if METRICS[name].needs == "originals":
                raise UserError(f"the metric {name!r} needs the original pictures: call it itself")
            METRICS[name].open(self)
            chosen[name] = METRICS[name]
        pictures, side = self.pictures(images), self.profile.resolution
        if tuple(pictures.shape[-2:]) != (side, side):
            log.info("scored: pictures cut to their central square, %d x %d", side, side)
            pictures = fitted(pictures, side)
        return score_pictures(chosen, self, pictures, self.subject(subject).c)

    def _metrics_at_hand(self) -> dict[str, type[Metric]]:
        """Metrics that need no originals; says in one line which lack a model."""
        from .metrics import METRICS
        from .metrics.frame import is_available

        usable, lacking = {}, []
        for name, metric in METRICS.items():
            if metric.needs == "originals" or not is_available(metric, self):
                continue
            try:
                metric.open(self)
            except NoSuchModel:
                lacking.append(name)
                continue
            usable[name] = metric
        if lacking:
            log.info("not measured, for want of a model: %s", ", ".join(lacking))
        return usable
