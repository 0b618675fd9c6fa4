"""The attributes of an identity as classes of a classifier: which there are, and which one sees."""

from __future__ import annotations

from .avatars import FACIAL_HAIR, GLASSES, HAIR, HAIR_COLOR, NOSE, SKIN, Identity

GROUPS: dict[str, tuple[str, ...]] = {
    "hair": tuple(HAIR),
    "hair_color": tuple(HAIR_COLOR),
    "skin": tuple(SKIN),
    "facial_hair": tuple(FACIAL_HAIR),
    "glasses": tuple(GLASSES),
    "nose": tuple(NOSE),
}
"""The values of each attribute, in the order of the classifier's labels."""


def labels_of(identity: Identity) -> list[int]:
    """The class of each attribute of ``GROUPS``; -1 where a picture cannot show it.

    Someone without hair and beard has no hair colour to be seen.
    """
    labels = [values.index(getattr(identity, name)) for name, values in GROUPS.items()]
    if identity.hair == "NONE" and identity.facial_hair == "NONE":
        labels[list(GROUPS).index("hair_color")] = -1
    return labels
