"""Purifiers: from a protected picture to one that can be learned from again."""

from .base import PURIFIERS, Chain, Purifier, bind, build, parameter_names, register
from .gaussian import Gaussian
from .identity import Nothing
from .jpeg import Jpeg
from .restorer import Restorer

__all__ = [
    "PURIFIERS",
    "Chain",
    "Gaussian",
    "Jpeg",
    "Nothing",
    "Purifier",
    "Restorer",
    "bind",
    "build",
    "parameter_names",
    "register",
]
