"""A measurement joined to an earlier one: measured at several times, or on several machines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..attacks import ATTACKS
from ..cells import NONE, PROFILE, Cell, Sheet
from ..errors import UserError
from ..lab import Lab
from ..profile import Profile
from ..purify import expand
from ..store import canonical
from .measured import UNITS, Measurement

SETTINGS = {"sampling", "prompts", "prior_guidance_scale", "resolution", "purifier"}
"""Fields of a profile that decide the numbers of any cell, beside the models."""
CODE = "code of the attack of "
SEVERAL = ("settings", "defaults", CODE)
"""Beginnings of the names of digests that are of several things, not of one model."""
WORD = re.compile(r"[\w-]+")


def made_with(
    lab: Lab, cells: Mapping[str, Cell], sheets: Mapping[str, Sheet] | None = None
) -> dict[str, str]:
    """Digests of what decides the numbers of some cells.

    Args:
        cells, sheets: by name.

    Returns:
        By role, of each model that was asked for so far; "settings", of the profile's; "defaults of
        NAME", of those of each attack, purifier and trainer that the cells name; "cell NAME",
        "sheet NAME", and "sheet NAME of CELL" of its own; "code of the attack of CELL", where that
        is no longer its first or is not the package's (see :meth:`.Attack.code`).
    """
    profile = lab.profile
    settings = profile.model_dump(mode="json", include=SETTINGS)
    named = set().union(*(_named(cell, profile) for cell in cells.values()))
    defaults = {
        f"defaults of {name}": _short_digest(values)
        for name, values in profile.defaults.items()
        if name in named
    }
    own = {f"cell {name}": _of_record(cell) for name, cell in cells.items()}
    own |= {f"sheet {name}": _of_record(sheet) for name, sheet in (sheets or {}).items()}
    own |= {
        f"sheet {sheet} of {name}": _of_record(how)
        for name, cell in cells.items()
        for sheet, how in cell.sheets.items()
    }
    own |= {
        f"{CODE}{name}": _short_digest(code)
        for name, cell in cells.items()
        if (code := _code(lab, cell))
    }
    return lab.digests() | {"settings": _short_digest(settings)} | defaults | own


def _code(lab: Lab, cell: Cell) -> dict[str, Any]:
    """By which code a cell's pictures are attacked; empty: the package's, never revised."""
    if cell.attack == NONE:
        return {}
    attack = lab.attack(cell.attack, eps=cell.eps, **cell.settings)
    other = attack.builds_on()
    under = {"builds on": other.code()} if other and other.code() else {}
    return attack.settings.code() | under


def _of_record(record: Cell | Sheet) -> str:
    """The digest of what a cell or a sheet sets; what is added to it (probes, sheets) is apart."""
    return _short_digest(
        record.model_dump(exclude_defaults=True, exclude={"image_probes", "sheets"})
    )


def _short_digest(values: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of plain values."""
    return hashlib.sha256(canonical(values).encode()).hexdigest()[:16]


def _named(cell: Cell, profile: Profile) -> set[str]:
    """Every word of a cell, purifiers' chains written out: names of what it uses, and others.

    An attack whose energy is matched to another's ("match") uses that one as well.
    """
    words = set(WORD.findall(cell.model_dump_json()))
    for spec in (cell.purifier, cell.settings.get("purifier", "none")):
        own = profile.purifier if spec == PROFILE else spec
        words |= set(expand(own, profile.purifiers).split("+"))
    matched = getattr(ATTACKS[cell.attack], "match", None) if cell.attack != NONE else None
    return words | {matched} if matched else words


def check_joins(earlier: Measurement, samples: int, digests: Mapping[str, str]) -> None:
    """Whether what is measured now may stand beside an earlier measurement.

    Args:
        samples: a row.
        digests: of the cells that are measured now; see :func:`made_with`.

    Raises:
        UserError: it may not; says what differs.
    """
    name = earlier.name
    if not earlier.made_with:
        raise UserError(
            f"{name} does not say which models it was measured with: nothing can be added to it, "
            "--save --force replaces it"
        )
    for role in sorted(earlier.made_with.keys() & digests.keys()):
        if earlier.made_with[role] != digests[role]:
            which = "other" if role.startswith(SEVERAL) else "another"
            raise UserError(f"{name} was measured with {which} {role}; --save --force replaces it")
    _check_code(earlier, digests)
    if earlier.samples != samples:
        raise UserError(
            f"{name} has {earlier.samples} samples a row, these are {samples}: give "
            f"--n {earlier.samples}, or --save --force to replace it"
        )


def _check_code(earlier: Measurement, digests: Mapping[str, str]) -> None:
    """An attack's first code is not noted: a cell without a digest was measured by that.

    Raises:
        UserError: a cell is of the earlier measurement, by other code of its attack.
    """
    conditions = set(earlier.frame.get("condition", ()))
    for role in sorted(digests.keys() - earlier.made_with.keys()):
        if role.startswith(CODE) and role.removeprefix(CODE) in conditions:
            raise UserError(
                f"{earlier.name} was measured with earlier {role}; --save --force replaces it"
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
        made_with={**earlier.made_with, **new.made_with},
    )
