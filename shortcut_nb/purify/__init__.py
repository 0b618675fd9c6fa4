"""Purifiers: from a protected picture to one that can be learned from again."""

from . import (  # noqa: F401  (each registers itself)
    codesr,
    ddspure,
    diffpure,
    face_restorer,
    gridpure,
    impress,
    latent,
    median,
    pdmpure,
    quantise,
    resize,
    sr,
    tvm,
    vae,
)
from .base import (
    ALIASES,
    PURIFIERS,
    Chain,
    Purifier,
    bind,
    build,
    expand,
    parameter_names,
    register,
    roles,
)
from .gaussian import Gaussian
from .identity import Nothing
from .jpeg import Jpeg
from .restorer import Restorer

__all__ = [
    "ALIASES",
    "PURIFIERS",
    "Chain",
    "Gaussian",
    "Jpeg",
    "Nothing",
    "Purifier",
    "Restorer",
    "bind",
    "build",
    "expand",
    "parameter_names",
    "register",
    "roles",
]
