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
    BoundPurifier,
    Chain,
    Purifier,
    bound,
    build,
    expand,
    kinds,
    register,
)
from .gaussian import Gaussian
from .identity import Nothing
from .jpeg import Jpeg
from .restorer import Restorer

__all__ = [
    "ALIASES",
    "PURIFIERS",
    "BoundPurifier",
    "Chain",
    "Gaussian",
    "Jpeg",
    "Nothing",
    "Purifier",
    "Restorer",
    "bound",
    "build",
    "expand",
    "kinds",
    "register",
]
