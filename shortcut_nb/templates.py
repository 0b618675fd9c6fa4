"""Words filled in: prompt templates with the right article, and numbers of things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

from .errors import UserError

ALLOWED = ("identifier", "class_name")
_ARTICLE = re.compile(r"\b([Aa])(?= \{class_name\})")
_VOWELS = tuple("aeiouAEIOU")


def check_template(template: str, allowed: tuple[str, ...] = ALLOWED) -> str:
    """Make sure that a template has no words but those allowed, and hand it back.

    Raises:
        ValueError: another word in braces, a word with a format or a conversion
            (``{class_name:d}``, ``{class_name!r}``), or braces that do not match.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise UserError(f"the template {template!r} has unmatched braces ({error})") from None
    braced = [f"{{{word}}}" for word in allowed]
    can = " and ".join(part for part in (", ".join(braced[:-1]), braced[-1]) if part)
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in allowed:
            raise UserError(f"the template {template!r} may use {can}; got {{{name}}}")
        if form or conversion:
            raise UserError(f"the template {template!r} may use {can}, with no ':' or '!' in them")
    return template


def fill(template: str, class_name: str, identifier: str | None = None) -> str:
    """A template with its words filled in; "a {class_name}" becomes "an airplane".

    Args:
        identifier: None where the template has none.

    Raises:
        ValueError: see :func:`check_template`.
    """
    check_template(template)
    words = {"class_name": class_name} | ({} if identifier is None else {"identifier": identifier})
    for name, word in words.items():
        if not isinstance(word, str):
            raise UserError(f"{name} must be text; got {word!r}")
    if not class_name.strip():
        raise UserError("class_name is empty: name what the pictures show, for instance 'dog'")
    if identifier is not None and not identifier.strip():
        raise UserError("identifier is blank: name the rare word for the subject, for instance sks")
    return fill_words(template, {"class_name": class_name, "identifier": identifier or ""})


def fill_words(template: str, words: Mapping[str, str]) -> str:
    """A template that :func:`check_template` let pass, with these words filled in.

    "a {class_name}" becomes "an airplane".
    """
    if takes_an(template, words["class_name"]):
        template = _ARTICLE.sub(r"\1n", template)
    return template.format(**words)


def takes_an(template: str, class_name: str) -> bool:
    """Whether :func:`fill_words` turns an "a" of the template into an "an"."""
    return class_name.startswith(_VOWELS) and _ARTICLE.search(template) is not None


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number of things in words: "1 photo", "2 photos", "2 people".

    Args:
        one: what a single one is called.
        many: what several are called; None puts an "s" behind the name of one.
    """
    if number == 1:
        return f"1 {one}"
    return f"{number} {many or one + 's'}"
