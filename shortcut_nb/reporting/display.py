"""What figures and tables call attacks, purifiers and defences; the registries' names stay in code.

Published methods are spelled as their papers spell them. A defence of two parts is "A + B". It is
called by its purifier's name where several purifiers are compared, else "purifier".
"""

from __future__ import annotations

CLEAN, NOISE, NOTHING, CDL = "clean photos", "random noise", "no defence", "CDL"
UNIT_SCORES = {"quality": "quality", "intact": "intactness", "ims_missing": "identity match"}
"""Measures from 0 to 1, by metric, with their heading in a figure."""

ATTACKS = {
    "none": CLEAN,
    "noise": NOISE,
    "noise-uniform": "uniform noise",
    "advdm": "AdvDM",
    "advdm−": "AdvDM−",
    "sds": "SDS",
    "sds+": "SDS+",
    "sdst": "SDST",
    "mist": "Mist",
    "fsmg": "FSMG",
    "t-fsmg": "T-FSMG",
    "e-fsmg": "E-FSMG",
    "aspl": "ASPL",
    "t-aspl": "T-ASPL",
    "e-aspl": "E-ASPL",
    "adaptive-aspl": "adaptive ASPL",
    "simac": "SimAC",
    "metacloak": "MetaCloak",
    "photoguard": "PhotoGuard",
    "photoguard-diffusion": "PhotoGuard, diffusion",
    "glaze": "Glaze",
    "pid": "PID",
    "clip-shift": "clip-shift",
    "decoded-shift": "decoded-shift",
}
"""By the name in the registry, or of a variant in a question."""

PURIFIERS = {
    "none": "no purifier",
    "jpeg": "JPEG",
    "gaussian": "Gaussian blur",
    "median": "median filter",
    "quantise": "quantising",
    "resize": "resizing",
    "tvm": "TVM",
    "vae": "VAE",
    "impress": "IMPRESS",
    "ldiffpure": "LDiffPure",
    "eldiffpure": "ELDiffPure",
    "ddspure": "DDSPure",
    "diffpure": "DiffPure",
    "gridpure": "GrIDPure",
    "pdmpure": "PDM-Pure",
    "restorer": "restorer",
    "face-restorer": "face restorer",
    "sr": "super-resolution",
    "codesr": "CodeSR",
}
"""By the name in the registry."""


def joined(*parts: str) -> str:
    """A defence of parts, "restorer + CDL"; empty parts are left out."""
    return " + ".join(filter(None, parts))


METHODS = {
    "dreambooth": "DreamBooth, with prior",
    "dreambooth, no prior": "DreamBooth, no prior",
    "dreambooth-lora": "DreamBooth-LoRA",
    "textual-inversion": "textual inversion",
    "custom-diffusion": "Custom Diffusion",
}
"""Ways of personalisation, by the name in the question that compares them."""

DEFENCES = {
    "none": NOTHING,
    "purifier": "purifier",
    "both": joined("purifier", CDL),
    "both, held": f"{joined('purifier', CDL)}, words held",
}
"""By the name in the question of attackers who know the defence."""


def after(attack: str, *defence: str) -> str:
    """Photos of an attack after a defence: "ASPL", "ASPL, restorer + CDL".

    Args:
        attack: a name of :data:`ATTACKS`.
        defence: its parts, as they are shown.
    """
    return ", ".join(filter(None, (ATTACKS[attack], joined(*defence))))
