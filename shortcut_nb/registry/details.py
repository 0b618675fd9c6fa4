"""All about one registered thing: what it is, its parameters, and where it is written."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from ..errors import UserError
from .catalogue import PACKAGE, names
from .registry import nearest


def details(kind: str, name: str, profile: str = "mini") -> dict[str, Any]:
    """What is known of a registered thing.

    Args:
        kind: "attacks", "purifiers", "trainers", "metrics" or "profiles".
        profile: whose defaults stand beside the thing's own.

    Returns:
        ``name``, ``description`` (all of it), ``source`` (file), and ``parameters``: records of
        :func:`shortcut_nb.settings.describe`, with ``paper`` where the publication has another
        value, and ``here`` where the profile has another.

    Raises:
        UserError: an unknown name; the nearest are listed.
    """
    if kind == "profiles":
        return _profile(name)
    known = names(kind)
    if kind == "metrics":
        from ..metrics import check_metric

        check_metric(name)
    elif name not in known:
        alone = ": links of a chain are listed one by one" if "+" in name else ""
        raise UserError(
            f"there is no {name!r} among the {kind}{alone}; the nearest are {nearest(name, known)}."
        )
    thing = _thing(kind, name)
    return {
        "name": name,
        "description": (inspect.getdoc(thing) or "").split("\n\nArgs:\n")[0],
        "source": _source(thing),
        "parameters": _parameters(thing, name, profile),
    }


def _thing(kind: str, name: str) -> Any:
    from ..attacks import ATTACKS
    from ..metrics import METRICS
    from ..personalize import TRAINERS
    from ..purify import ALIASES, PURIFIERS

    registries: dict[str, Any] = {
        "attacks": ATTACKS,
        "purifiers": PURIFIERS | ALIASES,
        "trainers": TRAINERS,
        "metrics": METRICS,
    }
    return registries[kind][name]


def _parameters(thing: Any, name: str, profile: str) -> list[dict[str, Any]]:
    from ..profile import load_profile
    from ..settings import Settings, describe

    if not (inspect.isclass(thing) and issubclass(thing, Settings)):
        return []
    further = {
        "paper": getattr(thing, "paper", {}),
        "here": load_profile(profile).defaults.get(name, {}),
    }
    rows = describe(thing)
    for row in rows:
        for kind, own in further.items():
            if own.get(row["name"], row["default"]) != row["default"]:
                row[kind] = own[row["name"]]
    return rows


def _source(thing: Any) -> str:
    path = Path(inspect.getsourcefile(thing) or "")
    return path.relative_to(PACKAGE.parent).as_posix() if PACKAGE in path.parents else str(path)


def _profile(name: str) -> dict[str, Any]:
    from ..profile import PROFILES, load_profile

    profile, base = load_profile(name), name.partition(":")[0]
    source = PROFILES / f"{base}.yaml"
    shipped = PACKAGE in source.parents and source.is_file()
    values = profile.model_dump(exclude={"name", "description", "defaults"}, exclude_none=True)
    rows = [
        {"name": key, "default": value, "allowed": "see docs/models.md", "description": ""}
        for key, value in values.items()
    ]
    return {
        "name": name,
        "description": profile.description,
        "source": source.relative_to(PACKAGE.parent).as_posix() if shipped else base,
        "parameters": rows,
    }
