"""What the measure of quality is trained to see: damage of every kind, each with a strength.

None of it is named in any caption, and neither the purifiers nor the text-to-image model were
trained on these functions. Some have counterparts among :mod:`.degradations` (grain is grain);
blotches, washed-out colours, ghosts and warps have none.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter, map_coordinates

Damage = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)


def grain(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Independent noise in every pixel, of one colour or of three."""
    channels = int(rng.choice([1, 3]))
    field = rng.standard_normal((*picture.shape[:2], channels))
    return _to_uint8(picture / 255 + 0.25 * strength * field)


def blotches(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Coloured clouds, two to eight pixels across."""
    field = rng.standard_normal(picture.shape)
    wide = rng.uniform(1.0, 4.0)
    field = gaussian_filter(field, (wide, wide, 0))
    return _to_uint8(picture / 255 + 0.3 * strength * field / field.std())


def texture(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A sum of plane waves of random directions and periods, bent by a smooth map."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float64)
    bend = gaussian_filter(rng.standard_normal((2, *picture.shape[:2])), (0, 5, 5)) * 40
    field = np.zeros(picture.shape)
    for _ in range(int(rng.integers(1, 5))):
        towards = rng.uniform(0, np.pi)
        period = rng.uniform(2.0, 10.0)
        phase = (np.cos(towards) * (x + bend[0]) + np.sin(towards) * (y + bend[1])) / period
        offset = rng.uniform(0, 2 * np.pi, 3)
        field += np.sin(2 * np.pi * phase[..., None] + offset) * rng.uniform(0.3, 1, 3)
    return _to_uint8(picture / 255 + 0.25 * strength * field / field.std())


def blur(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian blur with a radius of up to three pixels."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(3 * strength)))


def blocks(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Fewer pixels, or a coarse JPEG."""
    image = Image.fromarray(picture)
    if rng.random() < 0.5:
        side = max(6, round(picture.shape[0] / (1 + 6 * strength)))
        back = Image.Resampling.NEAREST if rng.random() < 0.5 else Image.Resampling.BILINEAR
        small = image.resize((side, side), Image.Resampling.BOX)
        return np.asarray(small.resize(image.size, back))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=max(2, round(60 * (1 - strength) ** 2)))
    return np.asarray(Image.open(file).convert("RGB"))


def washed_out(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Contrast fades towards one colour, mostly a gray, as PhotoGuard's target asks for."""
    colour = np.full(3, rng.uniform(0.3, 0.7)) + rng.uniform(-0.1, 0.1, 3)
    return _to_uint8((1 - 0.85 * strength) * picture / 255 + 0.85 * strength * colour)


def ghost(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A shifted, mirrored or turned copy shines through."""
    other = np.rot90(picture, int(rng.integers(4)))
    if rng.random() < 0.5:
        other = other[:, ::-1]
    other = np.roll(other, tuple(int(v) for v in rng.integers(8, 57, 2)), (0, 1))
    share = 0.5 * strength
    return _to_uint8(((1 - share) * picture + share * other) / 255)


def warp(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Places are moved by a smooth random field of up to several pixels."""
    move = gaussian_filter(rng.standard_normal((2, *picture.shape[:2])), (0, 4, 4))
    move *= 5 * strength / move.std()
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    source = picture.astype(np.float32)
    places = (y + move[0], x + move[1])
    planes = [map_coordinates(source[..., c], places, order=1, mode="nearest") for c in range(3)]
    return _to_uint8(np.stack(planes, -1) / 255)


DAMAGES: dict[str, Damage] = {
    "grain": grain,
    "blotches": blotches,
    "texture": texture,
    "blur": blur,
    "blocks": blocks,
    "washed out": washed_out,
    "ghost": ghost,
    "warp": warp,
}
"""Every damage by its name; strength 0 leaves a picture as it is, 1 is the most."""


def damage(picture: np.ndarray, kind: str, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Damage uint8 (H, W, 3) in one of :data:`DAMAGES`, with a strength in [0, 1].

    Raises:
        ValueError: an unknown kind, or a strength out of range.
    """
    if kind not in DAMAGES:
        raise ValueError(f"expected one of {', '.join(DAMAGES)}; got {kind!r}")
    if not 0 <= strength <= 1:
        raise ValueError(f"a strength lies in [0, 1]; got {strength}")
    return DAMAGES[kind](picture, strength, rng) if strength > 0 else picture
