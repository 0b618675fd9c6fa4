"""The questions of this repository, one short file each: what is measured, and what is predicted.

A question is a module with ``experiment(profile)``, or a YAML file of an experiment beside it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from ...errors import UserError
from ...profile import Profile
from ...registry import nearest
from ..experiment import Experiment, read_experiment

HOME = Path(__file__).parent


def names() -> list[str]:
    """The names of every question, sorted."""
    modules = [module.name for module in pkgutil.iter_modules([str(HOME)])]
    return sorted([*modules, *(path.stem for path in HOME.glob("*.yaml"))])


def _own(experiment: Experiment) -> Experiment:
    """An experiment of somebody's own; its results must not lie among those of a question."""
    if experiment.name in names():
        raise UserError(
            f"the experiment is called {experiment.name!r}, as a question of the package is: give "
            "it a name of its own (name: …, else that of its file)"
        )
    return experiment


def open_experiment(name: str, profile: Profile) -> Experiment:
    """A question by name, or an experiment by the path of its YAML file.

    Raises:
        UserError: there is none of that name; the nearest are listed.
    """
    if (HOME / f"{name}.yaml").is_file():
        return read_experiment(HOME / f"{name}.yaml")
    if name in names():
        return import_module(f"{__name__}.{name}").experiment(profile)
    if name.endswith((".yaml", ".yml")):
        return _own(read_experiment(name))
    raise UserError(
        f"no experiment {name!r}; the nearest are {nearest(name, names())}. "
        f"There are {', '.join(names())}, or a file that ends in .yaml"
    )
