"""Photos at their own size: the model sees squares, the whole photo comes back."""

from .carrying import carry
from .full_size import FullSize, carried, protect_photos, purified, purify_photos, subject_of
from .photo import Photo, Photos
from .tiles import in_tiles

__all__ = [
    "FullSize",
    "Photo",
    "Photos",
    "carried",
    "carry",
    "in_tiles",
    "protect_photos",
    "purified",
    "purify_photos",
    "subject_of",
]
