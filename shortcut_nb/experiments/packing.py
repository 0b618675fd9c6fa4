"""Columns in a file: each word of text once; a value that comes several times in a row, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WORDS, ROWS = "words", "rows"
TIMES, VALUES = "times", "values"


def packed(values: Sequence[Any]) -> Any:
    """A column as it is kept.

    Args:
        values: text, numbers or None.

    Returns:
        ``{"words": [...], "rows": ...}`` for text that comes again: which word each row has. Rows,
        and numbers, are ``{"times": n, "values": [...]}`` where each value comes ``n`` times in a
        row, as those of a photo do for all samples of it; else a list.
    """
    words = list(dict.fromkeys(values))
    text = all(isinstance(word, str) for word in words)
    if not text or 2 * len(words) > len(values):
        return _repeats(values)
    places = {word: place for place, word in enumerate(words)}
    return {WORDS: words, ROWS: _repeats([places[value] for value in values])}


def _repeats(values: Sequence[Any]) -> Any:
    """Values that all come equally often in a row, each once; else they are left as they are."""
    count = len(values)
    marked = [repr(value) for value in values]
    for times in range(count, 1, -1):
        if count % times == 0:
            firsts = [one for one in marked[::times] for _ in range(times)]
            if firsts == marked:
                return {TIMES: times, VALUES: list(values[::times])}
    return list(values)


def unpacked(column: Any) -> list[Any]:
    """The values of a column that :func:`packed` made, or of a plain list.

    Raises:
        KeyError, TypeError, IndexError: it is neither.
    """
    if isinstance(column, Mapping) and TIMES in column:
        return [value for value in column[VALUES] for _ in range(column[TIMES])]
    if isinstance(column, Mapping):
        words = column[WORDS]
        return [words[place] for place in unpacked(column[ROWS])]
    return list(column)
