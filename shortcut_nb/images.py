"""Pictures in and out: one convention, checked at the door.

Pictures are float32 tensors (N, 3, H, W), RGB, in [0, 1]. Files are 8-bit.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from shortcut_nb.checks import SMALLEST, check_images

__all__ = [
    "SUFFIXES",
    "check_images",
    "contact_sheet",
    "from_u8",
    "load_folder",
    "load_picture",
    "save_folder",
    "to_picture",
    "to_u8",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def to_u8(x: Tensor) -> Tensor:
    """Round pictures in [0, 1] to uint8 grey levels of the same shape."""
    return (x.detach() * 255).round().clamp(0, 255).to(torch.uint8)


def from_u8(x: Tensor) -> Tensor:
    """Turn uint8 grey levels into float32 in [0, 1].

    Raises:
        ValueError: when `x` is not uint8.
    """
    if x.dtype != torch.uint8:
        raise ValueError(f"expected uint8 grey levels; got {x.dtype}. Call to_u8 for floats.")
    return x.to(torch.float32) / 255


def load_picture(path: str | Path, size: int) -> Tensor:
    """Read one picture, centre-crop it to a square, and resize it (Lanczos).

    EXIF rotation is applied, transparency is laid over white, grey, palette, 16-bit and CMYK
    become RGB.

    Returns:
        float32 (3, size, size) in [0, 1], on the 8-bit grid.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is not a readable picture, or is smaller than 8 x 8 pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a picture file; there is none at {path}.")
    try:
        with Image.open(path) as opened:
            opened.load()
            picture = _to_rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        raise ValueError(
            f"{path} is not a picture Pillow can read. Use one of {', '.join(SUFFIXES)}."
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as a picture ({error}): it may be cut short or damaged. "
            "Copy it again or leave it out."
        ) from error
    if min(picture.size) < SMALLEST:
        raise ValueError(
            f"{path} is {picture.width} x {picture.height} pixels; at least "
            f"{SMALLEST} x {SMALLEST} are needed. Use a larger picture."
        )
    fitted = ImageOps.fit(picture, (size, size), method=Image.Resampling.LANCZOS)
    return _to_tensor(fitted)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode == "I":
        levels = np.asarray(picture).astype(np.float32)
        scale = 65535 if picture.mode.startswith("I;16") or levels.max() > 255 else 255
        grey = (levels / scale * 255).round().clip(0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return picture.convert("RGB")


def _to_tensor(picture: Image.Image) -> Tensor:
    array = np.array(picture, dtype=np.uint8)
    return from_u8(torch.from_numpy(array).permute(2, 0, 1).contiguous())


def list_pictures(path: str | Path) -> list[Path]:
    """The picture files of a folder, sorted by name.

    Raises:
        FileNotFoundError: when the folder is missing or holds no picture.
    """
    folder = Path(path)
    accepted = ", ".join(SUFFIXES)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"expected a folder of pictures ({accepted}); there is no folder at {folder}."
        )
    files = sorted(
        p
        for p in folder.iterdir()
        if p.is_file() and p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    )
    if not files:
        raise FileNotFoundError(
            f"expected pictures in {folder}; found none. Put files there that end in {accepted}."
        )
    return files


def load_folder(path: str | Path, size: int) -> tuple[Tensor, list[str]]:
    """Read every picture of a folder, sorted by file name.

    Returns:
        (N, 3, size, size) float32 in [0, 1], and the N file names.

    Raises:
        FileNotFoundError: when the folder is missing or holds no picture.
        ValueError: when one of its pictures cannot be read.
    """
    files = list_pictures(path)
    return torch.stack([load_picture(f, size) for f in files]), [f.name for f in files]


def save_folder(
    images: Tensor, folder: str | Path, names: Sequence[str] | None = None
) -> list[Path]:
    """Write each picture as a PNG, atomically; the 8-bit grid survives exactly.

    Args:
        images: (N, 3, H, W) in [0, 1].
        folder: made when missing.
        names: N different file names; any suffix becomes ".png". Default: 000.png, 001.png, ...

    Raises:
        ValueError: when the number of names differs from N, or two names collide.
    """
    check_images(images)
    stems = (
        [f"{i:03d}" for i in range(len(images))] if names is None else [Path(n).stem for n in names]
    )
    if len(stems) != len(images):
        raise ValueError(f"expected {len(images)} names, one per picture; got {len(stems)}.")
    if len(set(stems)) != len(stems):
        raise ValueError(
            f"expected different names; got {stems}. Rename the pictures that collide."
        )
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for image, stem in zip(images, stems, strict=True):
        written.append(target / f"{stem}.png")
        _save_png(to_picture(image), written[-1])
    return written


def _save_png(picture: Image.Image, path: Path) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            picture.save(stream, format="PNG")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
        raise ValueError(f"expected at least 1 column; got {columns}.")
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
