"""What is read from a disk and written to it: files whole or not at all, folders for results.

Importing it loads neither torch nor Pillow.
"""

from .sha256 import file_sha256
from .writer import (
    cannot_write,
    expand,
    flush,
    is_full,
    plain_name,
    reason,
    refused_by_system,
    remove,
    sweep,
    temporary,
    write_bytes,
    write_json,
    write_text,
    writing,
)

__all__ = [
    "cannot_write",
    "expand",
    "file_sha256",
    "flush",
    "is_full",
    "plain_name",
    "reason",
    "refused_by_system",
    "remove",
    "sweep",
    "temporary",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]
