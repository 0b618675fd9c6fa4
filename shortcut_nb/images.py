"""Pictures in and out: one convention, checked at the door.

Pictures are float32 tensors (N, 3, H, W), RGB, in [0, 1]. Files are 8-bit.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from shortcut_nb.checks import SMALLEST, check_images
from shortcut_nb.errors import CannotRead, MissingFile, UserError
from shortcut_nb.files import expand, writing

from .files.pictures import (
    HEIC_REMEDY,
    Listing,
    list_folder,
    open_heic,
    quiet_about_size,
    stems_of,
    suffixes,
)

__all__ = [
    "check_images",
    "contact_sheet",
    "from_u8",
    "load_folder",
    "load_picture",
    "open_rgb",
    "read_folder",
    "save_folder",
    "to_picture",
    "to_u8",
]

log = logging.getLogger("shortcut_nb")


def to_u8(x: Tensor) -> Tensor:
    """Round pictures in [0, 1] to uint8 grey levels of the same shape."""
    return (x.detach() * 255).round().clamp(0, 255).to(torch.uint8)


def from_u8(x: Tensor) -> Tensor:
    """Turn uint8 grey levels into float32 in [0, 1].

    Raises:
        ValueError: when `x` is not uint8.
    """
    if x.dtype != torch.uint8:
        raise UserError(f"expected uint8 grey levels; got {x.dtype}. Call to_u8 for floats.")
    return x.to(torch.float32) / 255


def load_picture(path: str | Path, size: int) -> Tensor:
    """Read one picture, centre-crop it to a square, and resize it (Lanczos).

    EXIF rotation is applied, transparency is laid over white; grey, palette, 16-bit, CMYK and
    float pictures become RGB. Of several frames the first is taken. HEIC wants pillow-heif.

    Returns:
        float32 (3, size, size) in [0, 1], on the 8-bit grid.

    Raises:
        MissingFile: when there is no such file.
        UserError: when the file is not a readable picture, or is smaller than 8 x 8 pixels.
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
    fitted = ImageOps.fit(picture, (size, size), method=Image.Resampling.LANCZOS)
    return _to_tensor(fitted)


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
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a picture ({error}): it may be cut short or damaged. "
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
    array = np.array(picture, dtype=np.uint8)
    return from_u8(torch.from_numpy(array).permute(2, 0, 1).contiguous())


def read_folder(path: str | Path, size: int) -> tuple[Tensor, Listing]:
    """Read every picture of a folder, sorted by file name.

    Returns:
        (N, 3, size, size) float32 in [0, 1], and which files they are and which were left out.

    Raises:
        MissingFile: when the folder is missing or holds no picture.
        UserError: when one of its pictures cannot be read.
    """
    listing = list_folder(path)
    return torch.stack([load_picture(file, size) for file in listing.files]), listing


def load_folder(path: str | Path, size: int) -> tuple[Tensor, list[str]]:
    """Read every picture of a folder, sorted by file name; says what it used in one log line.

    Returns:
        (N, 3, size, size) float32 in [0, 1], and the N file names.

    Raises:
        MissingFile, UserError: see :func:`read_folder`.
    """
    images, listing = read_folder(path, size)
    level = logging.WARNING if listing.left_out else logging.INFO
    log.log(
        level,
        "%s: %d pictures, each cut to its central square, %d x %d%s",
        listing.folder,
        len(images),
        size,
        size,
        listing.remarks(),
    )
    return images, listing.names


def save_folder(
    images: Tensor, folder: str | Path, names: Sequence[str] | None = None
) -> list[Path]:
    """Write each picture as a PNG, atomically; the 8-bit grid survives exactly.

    Args:
        images: (N, 3, H, W) in [0, 1].
        folder: made when missing; a file of the same name is replaced.
        names: N different file names; any ending becomes ".png". Default: 000.png, 001.png, ...

    Raises:
        UserError: when the number of names differs from N, or two names collide.
        CannotWrite: when the system refuses.
    """
    check_images(images)
    stems = [f"{i:03d}" for i in range(len(images))] if names is None else stems_of(names)
    if len(stems) != len(images):
        raise UserError(f"expected {len(images)} names, one per picture; got {len(stems)}.")
    target = expand(folder, "the folder")
    written = []
    for image, stem in zip(images, stems, strict=True):
        written.append(target / f"{stem}.png")
        with writing(written[-1]) as fresh:
            to_picture(image).save(fresh, format="PNG")
    return written


def to_picture(image: Tensor) -> Image.Image:
    """One (3, H, W) tensor in [0, 1] as a Pillow RGB image."""
    return Image.fromarray(to_u8(image).permute(1, 2, 0).contiguous().cpu().numpy())


def contact_sheet(images: Tensor, columns: int = 4, gap: int = 2) -> Image.Image:
    """Lay the pictures out in rows of `columns`, `gap` white pixels apart.

    Args:
        images: (N, 3, H, W) in [0, 1].

    Raises:
        ValueError: when `columns` is below 1.
    """
    check_images(images)
    if columns < 1:
        raise UserError(f"expected at least 1 column; got {columns}.")
    n, _, height, width = images.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    sheet_size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new("RGB", sheet_size, "white")
    for i, image in enumerate(images):
        sheet.paste(
            to_picture(image), ((i % columns) * (width + gap), (i // columns) * (height + gap))
        )
    return sheet
