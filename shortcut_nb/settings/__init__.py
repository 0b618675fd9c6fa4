"""Settings: frozen dataclasses whose fields are checked by type and range when they are made.

A field says what it may be by its annotation; its description is the "Args:" entry of its class's
docstring. Both are what :func:`describe` lists and what a refusal says.
"""

from .describing import describe, make, parameters
from .kinds import (
    Count,
    Eps,
    Guidance,
    Levels,
    Rate,
    SampleSteps,
    Seed,
    Share,
    Sign,
    StepSize,
    Template,
    Weight,
    Whole,
    Words,
    parse_alpha,
)
from .reading import read
from .settings import ADDED, Settings

__all__ = [
    "ADDED",
    "Count",
    "Eps",
    "Guidance",
    "Levels",
    "Rate",
    "SampleSteps",
    "Seed",
    "Settings",
    "Share",
    "Sign",
    "StepSize",
    "Template",
    "Weight",
    "Whole",
    "Words",
    "describe",
    "make",
    "parameters",
    "parse_alpha",
    "read",
]
