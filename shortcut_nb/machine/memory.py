"""What fits a card: bytes on the device of each attack and method; nothing is loaded.

Weights, gradients, optimiser states and copies are arithmetic. Peaks (:data:`COUNTED`) were counted
on fake tensors: the package's own code at full width on a device that is not there; what a pass
needs is the rest of them (``tests/test_memory.py`` counts again). Neither knows what a kernel takes
inside itself, the allocator's gaps, or CUDA's own context: :data:`MARGIN` stands for those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

GB = 10**9
MARGIN = 0.8 * GB
"""Allowed for kernels' workspaces, the allocator's gaps and CUDA's context; an estimate."""


@dataclass(frozen=True)
class Shape:
    """Numbers of parameters of a text-to-image model, and those that autocast rounds.

    Attributes:
        width: of the prompt's states, by which a profile's model is told.
        rounded: parameters of the UNet's convolutions and linear layers.
        side: of the pictures, in pixels.
    """

    name: str
    width: int
    unet: int
    text: int
    vae: int
    rounded: int
    side: int = 512

    @property
    def trained(self) -> int:
        """UNet and text encoder."""
        return self.unet + self.text


SD15 = Shape("Stable Diffusion 1.5", 768, 859_520_964, 123_060_480, 83_653_863, 859_297_280)
SD21 = Shape("Stable Diffusion 2.1", 1024, 865_910_724, 340_387_840, 83_653_863, 865_687_040)
SHAPES = {"sd15": SD15, "sd21": SD21, "sd21-768": replace(SD21, side=768)}

COUNTED = {
    ("sd15", "advdm", False): 20_596_396_992,
    ("sd15", "advdm", True): 4_359_496_592,
    ("sd15", "aspl", False): 28_445_154_240,
    ("sd15", "aspl", True): 8_853_971_220,
    ("sd15", "aspl-lora", True): 4_491_813_092,
    ("sd15", "cdl-dreambooth", False): 20_328_279_976,
    ("sd15", "cdl-dreambooth", True): 8_840_864_004,
    ("sd15", "dreambooth", False): 20_328_279_976,
    ("sd15", "dreambooth", True): 8_840_864_004,
    ("sd15", "dreambooth-lora", False): 8_328_214_604,
    ("sd15", "dreambooth-lora", True): 4_780_555_932,
    ("sd15", "metacloak", False): 24_564_912_628,
    ("sd15", "metacloak", True): 8_853_569_812,
    ("sd15", "sample", False): 7_001_121_864,
    ("sd21", "advdm", True): 5_254_406_032,
    ("sd21", "aspl", True): 10_846_083_348,
    ("sd21", "aspl-lora", True): 5_375_802_596,
    ("sd21", "cdl-dreambooth", True): 10_832_976_132,
    ("sd21", "dreambooth", True): 10_832_976_132,
    ("sd21", "dreambooth-lora", True): 5_677_390_492,
    ("sd21", "metacloak", True): 10_845_722_900,
    ("sd21", "sample", False): 7_895_990_344,
    ("sd21-768", "advdm", True): 7_430_034_332,
    ("sd21-768", "aspl", True): 10_910_472_468,
    ("sd21-768", "aspl-lora", True): 7_412_579_708,
    ("sd21-768", "cdl-dreambooth", True): 11_135_226_284,
    ("sd21-768", "dreambooth", True): 11_135_226_284,
    ("sd21-768", "dreambooth-lora", True): 6_316_366_492,
    ("sd21-768", "metacloak", True): 10_909_456_660,
    ("sd21-768", "sample", False): 10_299_646_024,
}
"""Peak bytes of one short run on fake tensors, by shape, work and low_memory. Four pictures; one
instance and one class picture a training step."""


@dataclass(frozen=True)
class Work:
    """What a piece of work keeps on the device beside the base model.

    Attributes:
        copies: trained copies of UNet and text encoder, the one at work included.
        pool: states of MetaCloak's surrogates: in host memory, on disk with low_memory.
    """

    name: str
    copies: int = 0
    pool: int = 0


WORKS = {
    "advdm": Work("AdvDM"),
    "aspl": Work("ASPL", copies=2),
    "aspl-lora": Work("ASPL, LoRA surrogates"),
    "metacloak": Work("MetaCloak", copies=1, pool=6),
    "dreambooth": Work("DreamBooth", copies=1),
    "cdl-dreambooth": Work("CDL DreamBooth", copies=1),
    "dreambooth-lora": Work("DreamBooth-LoRA"),
    "sample": Work("16 samples"),
}


@dataclass(frozen=True)
class Need:
    """Bytes by what they are for; ``host`` and ``disk`` are not on the device."""

    work: str
    low_memory: bool
    weights: int
    copies: int
    gradients: int
    states: int
    temporaries: int
    passes: int
    host: int
    disk: int

    @property
    def device(self) -> int:
        """What the device must hold at the peak, without :data:`MARGIN`."""
        parts = (self.weights, self.copies, self.gradients, self.states, self.temporaries)
        return sum(parts) + self.passes


def need(kind: str, work: str, low_memory: bool = False) -> Need | None:
    """What a piece of work needs under bfloat16 autocast; None is not counted.

    Args:
        kind: of :data:`SHAPES`.
        work: of :data:`WORKS`.
    """
    peak = COUNTED.get((kind, work, low_memory))
    if peak is None:
        return None
    shape, what = SHAPES[kind], WORKS[work]
    own, full = 4 * shape.trained, what.copies > 0
    slim = low_memory and not full and work != "sample"
    base = own - (2 * shape.rounded if slim else 0)
    idle = full and low_memory
    weights = 4 * shape.vae + (0 if idle else base)
    copies = own * (min(what.copies, 1) if low_memory else what.copies)
    gradients = own if full else 0
    states = 2 * own if full and not low_memory else 0
    return Need(
        work,
        low_memory,
        weights=weights,
        copies=copies,
        gradients=gradients,
        states=states,
        temporaries=own if full and not low_memory else 0,
        passes=peak - weights - copies - gradients - states,
        host=(own * (what.copies + 2) if idle else 4 * shape.rounded * slim)
        + (0 if low_memory else own * what.pool),
        disk=own * what.pool if low_memory else 0,
    )


def kinds_of(width: int | None, side: int) -> list[str]:
    """The shapes whose prompts' states are of a width, at a size of picture; [] was not counted.

    Args:
        width: None is any.
        side: in pixels.
    """
    return [
        kind
        for kind, shape in SHAPES.items()
        if shape.side == side and width in (None, shape.width)
    ]


def counted_for() -> str:
    """What :func:`table` knows, in words."""
    return ", ".join(f"{shape.name} at {shape.side} pixels" for shape in SHAPES.values())


def table(kind: str, card: int | None = None) -> list[str]:
    """Lines of text: what each piece of work needs, and whether a card of some bytes has it.

    Args:
        card: bytes of the card's memory; None has no card to compare with.
    """
    shape = SHAPES[kind]
    lines = [
        f"{shape.name} at {shape.side} pixels, bfloat16 arithmetic, GB ({GB:,} bytes); weights to "
        "temporaries by arithmetic, passes counted on fake tensors, neither measured on a card",
        f"{'':<30}{'weights':>8}{'copies':>8}{'grads':>7}{'states':>7}{'temp.':>7}{'passes':>8}"
        f"{'device':>8}{'host':>7}{'disk':>7}",
    ]
    for work in WORKS:
        for low in (False, True):
            needed = need(kind, work, low)
            if needed is not None:
                lines.append(_line(needed, card))
    return lines


def _line(needed: Need, card: int | None) -> str:
    name = WORKS[needed.work].name + (", low" if needed.low_memory else "")
    numbers = (
        (needed.weights, 8),
        (needed.copies, 8),
        (needed.gradients, 7),
        (needed.states, 7),
        (needed.temporaries, 7),
        (needed.passes, 8),
        (needed.device, 8),
        (needed.host, 7),
        (needed.disk, 7),
    )
    line = f"{name:<30}" + "".join(f"{value / GB:>{width}.1f}" for value, width in numbers)
    if card is not None:
        line += "  fits" if needed.device + MARGIN <= card else "  does not fit"
    return line
