"""Pictures in and out: one convention, checked at the door.

Pictures are float32 tensors (N, 3, H, W), RGB, in [0, 1]. Files are 8-bit.
"""

from .batches import to_batch
from .checks import check_images
from .folders import load_folder, read_folder, save_folder
from .levels import from_pixels, from_u8, to_picture, to_pixels, to_u8
from .reading import fitted, load_picture, open_rgb
from .resizing import enlarged, resized
from .sheets import contact_sheet

__all__ = [
    "check_images",
    "contact_sheet",
    "enlarged",
    "fitted",
    "from_pixels",
    "from_u8",
    "load_folder",
    "load_picture",
    "open_rgb",
    "read_folder",
    "resized",
    "save_folder",
    "to_batch",
    "to_picture",
    "to_pixels",
    "to_u8",
]
