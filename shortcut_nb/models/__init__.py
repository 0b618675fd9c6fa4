"""Models: everything a profile names, opened when first used; also from objects in memory.

Attacks, purifiers and trainers are settings; this is what they are given when they are called.
"""

from .models import (
    Models,
    NoSuchModel,
    check_beside_prior,
    check_dtype,
    check_size,
    device_of,
    need_models,
)

__all__ = [
    "Models",
    "NoSuchModel",
    "check_beside_prior",
    "check_dtype",
    "check_size",
    "device_of",
    "need_models",
]
