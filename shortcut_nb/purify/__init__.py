"""Purifiers: from a protected picture to one that can be learned from again."""

from . import (  # noqa: F401  (each registers itself)
    ddspure,
    diffpure,
    gridpure,
    impress,
    latent,
    median,
    quantise,
    resize,
    sr,
    tvm,
    vae,
)
from .base import PURIFIERS, Chain, Purifier, bind, build, parameter_names, register, roles
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
    "roles",
]
