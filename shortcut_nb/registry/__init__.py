"""Things by name: attacks, purifiers, trainers, metrics, prompts; and all that is known of one.

Importing it loads no torch.
"""

from .registry import Registry, nearest

__all__ = ["Registry", "nearest"]
