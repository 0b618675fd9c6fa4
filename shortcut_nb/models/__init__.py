"""Models: everything a profile names, opened when first used; also from objects in memory.

Attacks, purifiers and trainers are settings; this is what they are given when they are called.
Three layers, a file each: which models a profile names (named.py), each of them opened (opened.py),
and what is done with them (models.py). Importing it loads no torch.
"""

from .devices import check_dtype, device_of, fast_dtype
from .hooks import Hooks
from .models import Models, need_models
from .named import NoSuchModel
from .sizes import check_beside_prior, check_size

__all__ = [
    "Hooks",
    "Models",
    "NoSuchModel",
    "check_beside_prior",
    "check_dtype",
    "check_size",
    "device_of",
    "fast_dtype",
    "need_models",
]
