"""Columns of text in a file: each word once, and for every row which word it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WORDS, ROWS = "words", "rows"


def packed(values: Sequence[Any]) -> Any:
    """A column as it is kept: ``{"words": [...], "rows": [...]}`` if it is text that comes again.

    Args:
        values: text, numbers or None; a column of anything but text is kept as it is.
    """
    words = list(dict.fromkeys(values))
    text = all(isinstance(word, str) for word in words)
    if not text or 2 * len(words) > len(values):
        return list(values)
    places = {word: place for place, word in enumerate(words)}
    return {WORDS: words, ROWS: [places[value] for value in values]}


def unpacked(column: Any) -> list[Any]:
    """The values of a column that :func:`packed` made, or of a plain list.

    Raises:
        KeyError, TypeError, IndexError: it is neither.
    """
    if isinstance(column, Mapping):
        words = column[WORDS]
        return [words[place] for place in column[ROWS]]
    return list(column)
