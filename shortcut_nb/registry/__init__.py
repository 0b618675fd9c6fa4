"""Things by name: attacks, purifiers, trainers, metrics, prompts; and all that is known of one.

Importing it loads no torch.
"""

from .registry import Registry, instance_of, nearest, subclass_of

__all__ = ["Registry", "instance_of", "nearest", "subclass_of"]
