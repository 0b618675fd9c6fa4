"""The store of finished work: found again by its recipe, damage noticed, nothing half done.

Importing it loads neither torch nor diffusers.
"""

from .payload import Payload
from .recipe import Recipe, canonical, digest, plain
from .store import DamagedEntry, Entry, Store, StoreError

__all__ = [
    "DamagedEntry",
    "Entry",
    "Payload",
    "Recipe",
    "Store",
    "StoreError",
    "canonical",
    "digest",
    "plain",
]
