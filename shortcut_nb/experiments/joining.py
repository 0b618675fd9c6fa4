"""A measurement beside an earlier one: what is measured in sittings, or on several machines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from ..errors import UserError
from ..lab import Lab
from ..store import canonical
from .measured import UNITS, Measurement

SETTINGS = {"defaults", "sampling", "prompts", "prior_guidance_scale", "resolution", "purifier"}
"""Of a profile: what decides numbers beside the models."""


def made_with(lab: Lab) -> dict[str, str]:
    """Digests of the models that were asked for so far, and of the profile's settings."""
    settings = lab.profile.model_dump(mode="json", include=SETTINGS)
    return lab.digests() | {
        "settings": hashlib.sha256(canonical(settings).encode()).hexdigest()[:16]
    }


def check_joins(earlier: Measurement, samples: int, digests: Mapping[str, str]) -> None:
    """Whether what is measured now may stand beside an earlier measurement.

    Args:
        samples: a row.
        digests: see :func:`made_with`.

    Raises:
        UserError: it may not; says what differs.
    """
    name = earlier.name
    if not earlier.made_with:
        raise UserError(
            f"{name} does not say which models it was measured with: nothing can be added to it, "
            "--force without --add replaces it"
        )
    for role in sorted(earlier.made_with.keys() & digests.keys()):
        if earlier.made_with[role] != digests[role]:
            raise UserError(
                f"{name} was measured with another {role}; --force without --add replaces it"
            )
    if earlier.samples != samples:
        raise UserError(
            f"{name} has {earlier.samples} samples a row, these are {samples}: give "
            f"--n {earlier.samples}, or --force without --add to replace it"
        )
    if earlier.whom["seeds"] != sorted(set(earlier.frame["seed"])):
        raise UserError(
            f"{name} holds means over seeds, to which none can be added; --force without --add "
            "replaces it"
        )


def joined(earlier: Measurement, new: Measurement) -> Measurement:
    """The earlier measurement with the cells, people, seeds and measures that it lacked.

    What both have stays as it was. Question, predictions and failures are the new one's.

    Args:
        earlier, new: of the same profile, by the same models, with as many samples a row.

    Raises:
        UserError: see :func:`check_joins`.
    """
    check_joins(earlier, new.samples, new.made_with)
    axes = tuple(dict.fromkeys((*earlier.axes, *new.axes)))
    before, after = (
        one.frame.assign(**{axis: "none" for axis in axes if axis not in one.axes}).set_index(
            [*axes, *UNITS]
        )
        for one in (earlier, new)
    )
    frame = before.combine_first(after).reindex(before.index.append(after.index).unique())
    own = list(dict.fromkeys((*earlier.metrics, *new.metrics)))
    return replace(
        new,
        frame=frame.reset_index()[[*axes, *UNITS, *own]],
        axes=axes,
        seeds=(),
        made_with={**earlier.made_with, **new.made_with},
    )
