"""One picture, read from its file as RGB in the colours of sRGB, the right way up."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import CannotRead, MissingFile, UserError
from ..files import expand
from ..files.pictures import HEIC_REMEDY, open_heic, quiet_about_size, suffixes
from .checks import SMALLEST
from .levels import from_pixels, to_picture


def load_picture(path: str | Path, size: int) -> Tensor:
    """Read one picture, centre-crop it to a square, and resize it (Lanczos).

    EXIF rotation is applied, transparency is laid over white; grey, palette, 16-bit, CMYK and
    float pictures become RGB. Of several frames the first is taken. HEIC wants pillow-heif.

    Returns:
        float32 (3, size, size) in [0, 1], on the 8-bit grid.

    Raises:
        MissingFile: when there is no such file.
        UserError: when the file is not a readable picture, or it or the size is under 8 pixels.
    """
    path = expand(path, "the picture")
    if not path.is_file():
        raise MissingFile(f"expected a picture file; there is none at {path}.")
    picture = open_rgb(path)
    if min(picture.size) < SMALLEST:
        raise UserError(
            f"{path} is {picture.width} x {picture.height} pixels; at least "
            f"{SMALLEST} x {SMALLEST} are needed. Use a larger picture."
        )
    return _fitted(picture, size)


def fitted(images: Tensor, size: int) -> Tensor:
    """Pictures in memory as :func:`load_picture` reads them: cut to squares of this size.

    Args:
        images: (n, 3, H, W) float32 in [0, 1]; of this size they are handed back as they are.
    """
    if tuple(images.shape[-2:]) == (size, size):
        return images
    return torch.stack([_fitted(to_picture(image), size) for image in images])


def _fitted(picture: Image.Image, size: int) -> Tensor:
    """The central square of a picture, (3, size, size)."""
    if isinstance(size, bool) or not isinstance(size, int) or size < SMALLEST:
        raise UserError(f"size must be a whole number, at least {SMALLEST}; got {size!r}.")
    return _to_tensor(ImageOps.fit(picture, (size, size), method=Image.Resampling.LANCZOS))


def open_rgb(path: Path) -> Image.Image:
    """A picture at its own size, as RGB, with its EXIF orientation applied.

    Raises:
        UserError: the file is not a picture that can be read; says what to do.
    """
    open_heic()
    try:
        with quiet_about_size(), Image.open(path) as opened:
            opened.load()
            return upright_rgb(opened)
    except UnidentifiedImageError:
        if _is_heic(path):
            raise UserError(f"{path} cannot be read yet ({HEIC_REMEDY}).") from None
        raise UserError(
            f"{path} is not a picture Pillow can read. Use one of {', '.join(suffixes())}."
        ) from None
    except PermissionError:
        raise CannotRead(f"{path} cannot be read: permission is denied.") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(
            f"{path} has more than {most} megapixels, the most that is read: make it smaller."
        ) from None
    except (OSError, SyntaxError, ValueError, RuntimeError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise UserError(
            f"{path} cannot be read as a picture ({reason}): it may be cut short or damaged. "
            "Copy it again or leave it out."
        ) from error


def upright_rgb(picture: Image.Image) -> Image.Image:
    """An open picture as RGB in the colours of sRGB, with its EXIF orientation applied.

    Raises:
        ValueError: levels that are negative or no numbers.
    """
    profile, kind = picture.info.get("icc_profile"), picture.format
    return _to_srgb(_to_rgb(ImageOps.exif_transpose(picture), kind), picture.mode, profile)


def _to_srgb(picture: Image.Image, mode: str, profile: bytes | None) -> Image.Image:
    """Colours of another profile, such as a phone's Display P3, as sRGB's; as it is without one."""
    if profile is None or mode not in ("RGB", "RGBA"):
        return picture
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return picture
        changed = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"))
    except (OSError, ImageCms.PyCMSError):  # a damaged profile tells nothing
        return picture
    return picture if changed is None else changed


def _is_heic(path: Path) -> bool:
    """Whether a file holds HEIC, whatever its name says."""
    with path.open("rb") as stream:
        head = stream.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc")


def _to_rgb(picture: Image.Image, kind: str | None) -> Image.Image:
    mode = picture.mode
    if mode == "I" and kind == "PNG":  # older Pillow's name for 16 bits
        mode = "I;16"
    if mode in ("F", "I") or mode.startswith("I;16"):
        return _grey_to_rgb(np.asarray(picture).astype(np.float32), mode)
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return picture.convert("RGB")


def _grey_to_rgb(levels: np.ndarray, mode: str) -> Image.Image:
    """Grey levels of more than 8 bits as RGB.

    16-bit integers span 0 to 65535. Floats span [0, 1], [0, 255] or [0, 65535], whichever is the
    smallest that holds them; wide integers one of the last two.

    Raises:
        ValueError: NaN, infinity, or floats below 0.
    """
    if not np.isfinite(levels).all() or levels.min() < 0:
        raise UserError("its levels are negative or not finite")
    if mode.startswith("I;16"):
        top = 65535.0
    else:
        tops = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
        top = next((top for top in tops if levels.max() <= top), float(levels.max()))
    grey = (levels / top * 255).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _to_tensor(picture: Image.Image) -> Tensor:
    return from_pixels(np.array(picture, dtype=np.uint8))
