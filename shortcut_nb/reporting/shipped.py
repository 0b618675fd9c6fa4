"""The larger measurements that notebooks show beside their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..budget import Budget
from ..experiments.measured import Measurement
from ..experiments.packing import unpacked
from ..profile import Profile, available_presets, available_profiles, load_profile
from ..results import available, read_result
from ..templates import counted
from . import identifier, shortcut

READERS = {"identifier": identifier.content, "shortcut": shortcut.content}
"""What makes tables of a measurement that asks for more than verdicts and means."""


class Shipped(dict[str, Any]):
    """The tables of a measurement, beside which a run sets its own.

    Attributes:
        profile: the name of the profile that was measured.
        same: whether the run is of that profile, budget and world of subjects, so that it can be
            held to what was found; elsewhere outcomes are shown and not asserted.
    """

    def __init__(self, content: Mapping[str, Any], profile: str, same: bool = True) -> None:
        super().__init__(content)
        self.profile, self.same = profile, same

    @property
    def heading(self) -> str:
        """What stands above its numbers, "measured on mini: 6 subjects, 2 seeds, 16/255"."""
        counts = {"subject": "subjects", "seed": "seeds"}
        parts = [counted(len(self[key]), one) for one, key in counts.items() if key in self]
        if "eps" in self:
            parts.append(str(self["eps"]))
        return f"measured on {self.profile}: {', '.join(parts)}"


def shipped(
    name: str,
    profile: str | Profile = "mini",
    folder: str | Path | None = None,
    *,
    eps: str | None = None,
    subject: str | None = None,
) -> Shipped:
    """What a measurement found, as its file has it, and the tables that :data:`READERS` make of it.

    Args:
        profile: whose result; for a Profile that has none of the name, the miniature's.
        folder: where to look; None is the profile's results.
        eps, subject: of the run beside which it is shown; None says that they do not matter.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    run = profile if isinstance(profile, Profile) else None
    named = profile if isinstance(profile, str) else profile.name
    if run is not None and name not in available(named, folder):
        named = "mini"
    content = read_result(name, named, folder)
    if name in READERS:
        content |= READERS[name](Measurement.read(name, named, folder))
    same = run is None or _is_profile(run, named)
    return Shipped(content, named, same and _covers(content, eps, subject))


def _is_profile(profile: Profile, named: str) -> bool:
    """Whether a profile is the one of a name: its own models and settings, not another's."""
    if named in (*available_profiles(), *available_presets()):
        return profile == load_profile(named)
    return profile.name == named


def _covers(content: Mapping[str, Any], eps: str | None, subject: str | None) -> bool:
    """Whether a run's budget was measured, and on subjects of its kind."""
    budgets = {*unpacked(content.get("frame", {}).get("eps", ()))}
    budgets |= {content["eps"]} if "eps" in content else set()
    if eps is not None and budgets and str(Budget.parse(eps)) not in budgets:
        return False
    worlds = {_world(name) for name in content.get("subjects", ())}
    return subject is None or not worlds or _world(subject) in worlds


def _world(subject: str) -> str:
    """Where a subject comes from: "mini" of "mini:held-out/3", "" of a folder of photos."""
    head, colon, _ = subject.partition(":")
    return head if colon and "/" not in head else ""
