"""What can be wrong with a picture, and how one says so: noise, low resolution, blur, JPEG.

The diffusion model and CLIP of the miniature see these with captions that name them, as Stable
Diffusion has seen noisy pictures on the web. None of them is an attack: no gradient of any model
takes part, and no attack's output is ever trained on.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

NOISES = ("gaussian", "uniform", "salt", "coarse", "stripes", "checker")
KINDS = ("noise", "lowres", "blur", "jpeg")
PATTERNS = ("noise", "stripes", "checker", "blobs", "gradient")


def noise(pixels: np.ndarray, rng: np.random.Generator, amount: float | None = None) -> np.ndarray:
    """Add one of six kinds of noise to uint8 (H, W, 3); ``amount`` is its std in [0, 1] units."""
    kind = str(rng.choice(NOISES, p=(0.3, 0.15, 0.1, 0.2, 0.1, 0.15)))
    amount = float(rng.uniform(0.05, 0.25)) if amount is None else amount
    high, wide = pixels.shape[:2]
    base = pixels.astype(np.float32) / 255
    if kind == "gaussian":
        field = rng.standard_normal((high, wide, 3))
    elif kind == "uniform":
        field = rng.uniform(-1.73, 1.73, (high, wide, 3))
    elif kind == "salt":
        share = amount**2 * 4
        hit = rng.random((high, wide, 1)) < share
        return np.where(hit, rng.choice([0, 255], (high, wide, 3)), pixels).astype(np.uint8)
    elif kind == "coarse":
        cell = int(rng.integers(2, 5))
        small = rng.standard_normal((high // cell + 1, wide // cell + 1, 3))
        field = np.kron(small, np.ones((cell, cell, 1)))[:high, :wide]
    elif kind == "stripes":
        field = _waves(high, wide, rng)
    else:
        field = _checker(high, wide, rng)
    return np.clip((base + amount * field) * 255 + 0.5, 0, 255).astype(np.uint8)


def degrade(pixels: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Degrade uint8 (H, W, 3) in one of :data:`KINDS`; the same shape comes back."""
    image = Image.fromarray(pixels)
    if kind == "noise":
        return noise(pixels, rng)
    if kind == "lowres":
        factor = float(rng.uniform(2.5, 6))
        wide, high = (max(2, round(side / factor)) for side in image.size)
        back = rng.choice([Image.Resampling.NEAREST, Image.Resampling.BILINEAR])
        return np.asarray(image.resize((wide, high), Image.Resampling.BOX).resize(image.size, back))
    if kind == "blur":
        return np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(1.2, 3)))))
    if kind == "jpeg":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(3, 22)))
        return np.asarray(Image.open(buffer).convert("RGB"))
    raise ValueError(f"expected one of {KINDS}; got {kind!r}")


def pattern(kind: str, rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """An abstract picture without a person: uint8 (size, size, 3), one of :data:`PATTERNS`."""
    base = rng.uniform(0.2, 0.8, 3)
    if kind == "noise":
        plain = np.broadcast_to(base * 255, (size, size, 3)).astype(np.uint8)
        return noise(plain, rng, float(rng.uniform(0.12, 0.4)))
    if kind == "stripes":
        field = 0.35 * _waves(size, size, rng)
    elif kind == "checker":
        field = 0.35 * _checker(size, size, rng)
    elif kind == "blobs":
        small = rng.standard_normal((int(rng.integers(3, 9)),) * 2 + (3,))
        layers = [Image.fromarray(small[..., c].astype(np.float32)) for c in range(3)]
        big = [np.asarray(one.resize((size, size), Image.Resampling.BICUBIC)) for one in layers]
        field = 0.3 * np.stack(big, -1)
    elif kind == "gradient":
        ramp = np.linspace(-1, 1, size)
        towards = rng.uniform(0, 2 * np.pi)
        slope = np.cos(towards) * ramp[None, :] + np.sin(towards) * ramp[:, None]
        field = slope[..., None] * rng.uniform(-0.4, 0.4, 3)
    else:
        raise ValueError(f"expected one of {PATTERNS}; got {kind!r}")
    return np.clip((base + field) * 255 + 0.5, 0, 255).astype(np.uint8)


def _waves(high: int, wide: int, rng: np.random.Generator) -> np.ndarray:
    """A coloured plane wave of random direction and a period of 2.5 to 12 pixels, std near 1."""
    towards, period = rng.uniform(0, np.pi), rng.uniform(2.5, 12)
    y, x = np.mgrid[:high, :wide]
    phase = 2 * np.pi * (np.cos(towards) * x + np.sin(towards) * y) / period
    return 1.4 * np.sin(phase[..., None] + rng.uniform(0, 2 * np.pi, 3)) * rng.uniform(0.5, 1, 3)


def _checker(high: int, wide: int, rng: np.random.Generator) -> np.ndarray:
    """Coloured checks with cells of 1 to 6 pixels, values near ±1."""
    cell = int(rng.integers(1, 7))
    y, x = np.mgrid[:high, :wide] // cell
    return (((x + y) % 2) * 2.0 - 1)[..., None] * rng.uniform(0.5, 1.2, 3) * rng.choice([-1, 1], 3)
