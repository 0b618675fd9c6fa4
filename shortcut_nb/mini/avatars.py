"""Synthetic people: who they are (identity) and how one picture shows them (nuisance).

An :class:`Identity` is what a personalised model should learn: hair, hair colour, skin, facial
hair, glasses and nose. Everything else about a picture (expression, clothes, background, pose,
light) is drawn anew each time from the picture's own seed. Avatars are drawn as SVG by
``python-avatars`` and rasterised by ``resvg``; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import astuple, dataclass

import numpy as np
import python_avatars as pa
import resvg_py
from PIL import Image

SIZE = 64
SPLITS = ("train", "validation", "held-out")

HAIR = {
    "NONE": "no hair",
    "BIG_HAIR": "big hair",
    "BOB": "bob hair",
    "BUN": "bun hair",
    "CAESAR": "caesar hair",
    "CURLY": "curly hair",
    "DREADS": "long dreads hair",
    "FRO": "afro hair",
    "MIA_WALLACE": "fringe hair",
    "SHAGGY_MULLET": "mullet hair",
    "SHORT_CURLY": "short curly hair",
    "SHORT_FLAT": "short flat hair",
    "SHORT_ROUND": "short round hair",
    "SHORT_WAVED": "short waved hair",
    "SIDES": "side hair",
    "STRAIGHT_1": "long straight hair",
    "BRAIDS": "braids hair",
    "CORNROWS": "cornrows hair",
    "EINSTEIN_HAIR": "wild hair",
    "EVIL_SPIKE": "spike hair",
    "MOHAWK": "mohawk hair",
    "POMPADOUR": "pompadour hair",
    "PIXIE": "pixie hair",
    "LOOSE_HAIR": "loose hair",
}
HAIR_COLOR = {
    "AUBURN": "auburn",
    "BLACK": "black",
    "BLONDE": "blonde",
    "BROWN": "brown",
    "PASTEL_PINK": "pink",
    "PLATINUM": "white",
    "RED": "red",
    "SILVER_GRAY": "gray",
}
SKIN = {
    "PALE": "pale",
    "LIGHT": "light",
    "YELLOW": "yellow",
    "TANNED": "tanned",
    "BROWN": "brown",
    "BLACK": "dark",
}
FACIAL_HAIR = {
    "NONE": "no beard",
    "BEARD_LIGHT": "a light beard",
    "BEARD_MAGESTIC": "a long beard",
    "BEARD_MEDIUM": "a beard",
    "MOUSTACHE_FANCY": "a fancy moustache",
    "MOUSTACHE_MAGNUM": "a moustache",
}
GLASSES = {
    "NONE": "no glasses",
    "PRESCRIPTION_2": "square glasses",
    "ROUND": "round glasses",
    "SUNGLASSES": "sunglasses",
    "WAYFARERS": "black glasses",
}
NOSE = {"DEFAULT": "a nose", "SMALL": "a small nose", "WIDE": "a wide nose"}

EYES = ("CLOSED", "DEFAULT", "EYE_ROLL", "HAPPY", "SIDE", "SQUINT", "SURPRISED", "WINK")
BROWS = ("ANGRY", "DEFAULT", "FLAT_NATURAL", "RAISED_EXCITED", "SAD_CONCERNED", "UP_DOWN")
MOUTHS = {
    "CONCERNED": "concerned",
    "DEFAULT": "calm",
    "DISBELIEF": "doubtful",
    "GRIMACE": "grimacing",
    "SAD": "sad",
    "SCREAM_OPEN": "screaming",
    "SERIOUS": "serious",
    "SMILE": "smiling",
    "TONGUE": "joking",
    "TWINKLE": "amused",
}
CLOTHES = {
    "BLAZER_SHIRT": "blazer",
    "COLLAR_SWEATER": "sweater",
    "HOODIE": "hoodie",
    "OVERALL": "overall",
    "SHIRT_CREW_NECK": "shirt",
    "SHIRT_V_NECK": "v-neck shirt",
}
CLOTH_COLORS = {
    "BLACK": "black",
    "BLUE_03": "navy",
    "GRAY_01": "gray",
    "PASTEL_BLUE": "sky",
    "PASTEL_GREEN": "mint",
    "PASTEL_YELLOW": "cream",
    "PINK": "pink",
    "RED": "red",
    "WHITE": "white",
}
BACKGROUNDS = {
    "white": (245, 245, 245),
    "gray": (150, 150, 155),
    "red": (205, 70, 60),
    "blue": (85, 130, 220),
    "green": (85, 165, 95),
    "yellow": (240, 210, 95),
    "purple": (135, 90, 180),
    "pink": (245, 185, 200),
    "teal": (45, 140, 140),
    "brown": (130, 100, 75),
}


@dataclass(frozen=True)
class Identity:
    """What stays the same in every picture of one synthetic person (python-avatars enum names)."""

    hair: str
    hair_color: str
    skin: str
    facial_hair: str
    glasses: str
    nose: str

    @property
    def split(self) -> str:
        """``train`` (90 %), ``validation`` (5 %) or ``held-out`` (5 %), decided by the identity.

        The nose, hardly visible at 64 pixels, does not take part: two people who differ by their
        nose alone are always on the same side.
        """
        digest = hashlib.sha256("/".join(astuple(self)[:5]).encode()).digest()
        bucket = int.from_bytes(digest[:4], "big") % 20
        return {0: "held-out", 1: "validation"}.get(bucket, "train")


@dataclass(frozen=True)
class Nuisance:
    """What changes from one picture of a person to the next."""

    eyes: str
    brows: str
    mouth: str
    clothes: str
    cloth_color: str
    background: str
    angle: float
    zoom: float
    shift: tuple[float, float]
    light: tuple[float, float]
    tint: int


def identity(split: str, index: int) -> Identity:
    """The ``index``-th identity of a split: a function of its arguments alone.

    Two indices of one split may, rarely, name the same identity; two splits never share one.

    Raises:
        ValueError: for an unknown split or a negative index.
    """
    if split not in SPLITS or index < 0:
        raise ValueError(f"expected one of {SPLITS} and an index >= 0; got {split!r}, {index}")
    rng = np.random.default_rng([SPLITS.index(split), index, 20240618])
    while True:
        one = Identity(
            hair=str(rng.choice(list(HAIR), p=[0.02] + [0.98 / (len(HAIR) - 1)] * (len(HAIR) - 1))),
            hair_color=str(rng.choice(list(HAIR_COLOR))),
            skin=str(rng.choice(list(SKIN))),
            facial_hair=str(rng.choice(list(FACIAL_HAIR), p=[0.55] + [0.09] * 5)),
            glasses=str(rng.choice(list(GLASSES), p=[0.48] + [0.13] * 4)),
            nose=str(rng.choice(list(NOSE))),
        )
        if one.split == split:
            return one


def first_nuisance(split: str, index: int) -> int:
    """The seed of a person's first picture; the next pictures have the next seeds, up to 1000."""
    return (SPLITS.index(split) + 1) * 100_000_000 + index * 1000


def nuisance(seed: int) -> Nuisance:
    """Draw expression, clothes, background, pose and light from a picture's seed."""
    rng = np.random.default_rng([seed, 7])
    return Nuisance(
        eyes=str(rng.choice(EYES)),
        brows=str(rng.choice(BROWS)),
        mouth=str(rng.choice(list(MOUTHS))),
        clothes=str(rng.choice(list(CLOTHES))),
        cloth_color=str(rng.choice(list(CLOTH_COLORS))),
        background=str(rng.choice(list(BACKGROUNDS))),
        angle=float(rng.uniform(-8, 8)),
        zoom=float(rng.uniform(1.0, 1.22)),
        shift=(float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.05, 0.05))),
        light=(float(rng.uniform(0, 0.22)), float(rng.uniform(0, 2 * np.pi))),
        tint=int(rng.integers(1 << 30)),
    )


def draw(identity: Identity, nuisance: Nuisance, size: int = SIZE) -> np.ndarray:
    """Render one picture: uint8 array (size, size, 3), RGB."""
    avatar = pa.Avatar(
        style=pa.AvatarStyle.TRANSPARENT,
        background_color=pa.BackgroundColor.WHITE,
        top=pa.HairType[identity.hair],
        hair_color=pa.HairColor[identity.hair_color],
        facial_hair=pa.FacialHairType[identity.facial_hair],
        facial_hair_color=pa.HairColor[identity.hair_color],
        skin_color=pa.SkinColor[identity.skin],
        accessory=pa.AccessoryType[identity.glasses],
        nose=pa.NoseType[identity.nose],
        eyes=pa.EyeType[nuisance.eyes],
        eyebrows=pa.EyebrowType[nuisance.brows],
        mouth=pa.MouthType[nuisance.mouth],
        clothing=pa.ClothingType[nuisance.clothes],
        clothing_color=pa.ClothingColor[nuisance.cloth_color],
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=avatar.render(), width=144))
    sprite = Image.open(io.BytesIO(png)).convert("RGBA")
    wide, high = sprite.size
    tint = np.random.default_rng(nuisance.tint).integers(-14, 15, 3)
    backdrop = tuple(
        int(v) for v in np.clip(np.add(BACKGROUNDS[nuisance.background], tint), 0, 255)
    )
    side = 168
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    canvas.paste(sprite, ((side - wide) // 2, side - high + 8))
    centre = (side / 2 + nuisance.shift[0] * side, side / 2 + nuisance.shift[1] * side)
    half = side / nuisance.zoom / 2
    box = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    canvas = canvas.rotate(nuisance.angle, Image.Resampling.BILINEAR)
    canvas = canvas.resize((2 * size, 2 * size), Image.Resampling.BILINEAR, box=_inside(box, side))
    canvas = canvas.resize((size, size), Image.Resampling.BOX)
    picture = Image.new("RGBA", (size, size), (*backdrop, 255))
    picture.alpha_composite(canvas)
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    strength, towards = nuisance.light
    slope = np.cos(towards) * ramp[None, :] + np.sin(towards) * ramp[:, None]
    return np.clip(pixels * (1 + strength * slope[..., None]) + 0.5, 0, 255).astype(np.uint8)


def _inside(box: tuple[float, float, float, float], side: int) -> tuple[float, float, float, float]:
    """Move a crop box back inside a square canvas of the given side."""
    dx = max(0.0, -box[0]) - max(0.0, box[2] - side)
    dy = max(0.0, -box[1]) - max(0.0, box[3] - side)
    moved = (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
    left, top, right, bottom = (min(max(v, 0.0), float(side)) for v in moved)
    return left, top, right, bottom
