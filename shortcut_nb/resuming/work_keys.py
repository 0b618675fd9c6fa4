"""What names a piece of work: all that its result depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..store.recipe import update_digest

if TYPE_CHECKING:
    from torch import Tensor

    from ..subjects import Subject


def work_key(made_by: Any, subject: Subject) -> str:
    """What names a piece of work: all that its result depends on."""
    prompts = subject.instance_prompt, subject.class_prompt
    names = subject.identifier, subject.class_name  # a new word starts from them
    return work_key_of_pictures((made_by, *prompts, *names), (subject.a, subject.b))


def work_key_of_pictures(made_by: Any, contents: Iterable[Tensor | str]) -> str:
    """The same for pictures without words: tensors, or digests of files."""
    digest = hashlib.sha256(repr((__version__, made_by)).encode())
    for content in contents:
        if isinstance(content, str):
            digest.update(content.encode())
            continue
        digest.update(repr(tuple(content.shape)).encode())
        update_digest(digest, content)
    return digest.hexdigest()
