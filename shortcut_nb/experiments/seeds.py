"""Seeds from their number: 3 means the seeds 0, 1 and 2."""

from __future__ import annotations

from ..errors import UserError

MOST = 1000


def first_seeds(count: int) -> tuple[int, ...]:
    """The seeds 0, 1, … of a count.

    Raises:
        UserError: more than :data:`MOST`, which nobody means.
    """
    if count > MOST:
        raise UserError(f"expected at most {MOST} seeds, got {count}.")
    return tuple(range(count))
