"""Where a model's weights lie on this machine, and whether they are the right ones.

No torch here: profiles and the command line read this, and they start fast.
"""

from .digests import cached_file_digests, known_sha256
from .expected import check_digests, known_digests
from .files import BadWeights, MissingWeights, TensorInfo, inspect_file
from .folders import check_weights
from .refs import IN_MEMORY, PACKAGE, ModelRef, checked, resolve, verify

__all__ = [
    "IN_MEMORY",
    "PACKAGE",
    "BadWeights",
    "MissingWeights",
    "ModelRef",
    "TensorInfo",
    "check_weights",
    "check_digests",
    "checked",
    "cached_file_digests",
    "inspect_file",
    "known_digests",
    "known_sha256",
    "resolve",
    "verify",
]
