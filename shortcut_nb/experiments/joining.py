"""A measurement beside an earlier one: what is measured in sittings, or on several machines."""

from __future__ import annotations

from dataclasses import replace

from ..errors import UserError
from .measured import UNITS, Measurement


def joined(earlier: Measurement, new: Measurement) -> Measurement:
    """The earlier measurement with the cells, people, seeds and measures that it lacked.

    What both have stays as it was. Question and predictions are the new one's.

    Args:
        earlier, new: of the same profile, by the same models, with as many samples a row.

    Raises:
        UserError: they are not; says what differs.
    """
    name = new.name
    for role in sorted(earlier.weights.keys() & new.weights.keys()):
        if earlier.weights[role] != new.weights[role]:
            raise UserError(
                f"{name} was measured with other weights of {role!r}; --force without --add "
                "replaces it"
            )
    if earlier.samples != new.samples:
        raise UserError(
            f"{name} has {earlier.samples} samples a row, these are {new.samples}: give "
            f"--n {earlier.samples}, or --force without --add to replace it"
        )
    if earlier.whom["seeds"] != sorted(set(earlier.frame["seed"])):
        raise UserError(
            f"{name} holds means over seeds, to which none can be added; --force without --add "
            "replaces it"
        )
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
        failures=tuple(dict.fromkeys((*earlier.failures, *new.failures))),
        seeds=(),
        weights=earlier.weights | new.weights,
    )
