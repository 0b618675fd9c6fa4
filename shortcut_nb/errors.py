"""Errors that the user can mend, raised at the doors before any work.

Whatever is a `UserError` reaches the user of the command line as one line; every other exception
is a fault of the program and shows its traceback.
"""

from __future__ import annotations


class UserError(ValueError):
    """What was asked cannot be done; the message says what was expected, what came, what to do."""


class MissingFile(UserError, FileNotFoundError):
    """A file or folder that was named is not there."""


class AlreadyThere(UserError, FileExistsError):
    """A file or folder that would be overwritten."""


class CannotWrite(UserError, OSError):
    """A place that cannot be written: read-only, full, too long a name, a file where a folder is
    needed."""


class CannotRead(UserError, OSError):
    """A file that is there and cannot be read."""


class WrongType(UserError, TypeError):
    """A value of another type than the parameter takes."""


class Diverged(UserError, FloatingPointError):
    """A training or an attack whose loss is no number any more; the message says what to change."""


class MissingLibrary(UserError, ImportError):
    """A library of an extra that is not installed; the message says how to install it."""
