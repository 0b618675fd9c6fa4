"""A profile of tiny models with random weights: a whole cell of an experiment in a second."""

from __future__ import annotations

from pathlib import Path

import yaml

from shortcut_nb.profile import Profile, load_profile
from tests.tiny import save_tiny_clip
from tests.tiny_sd import save_pipeline

SHORT = {
    "dreambooth": {"steps": 2, "lr": 1e-3, "batch_size": 1, "class_images": 2},
    "aspl": {"eps": "8/255", "alpha": "2/255", "rounds": 1, "clean_steps": 1, "pgd_steps": 1,
             "perturbed_steps": 1, "surrogate_lr": 1e-3, "class_images": 2},
    "advdm": {"alpha": "2/255", "steps": 2},
}  # fmt: skip


def tiny_profile(folder: Path, **more) -> Profile:
    """Stable-Diffusion-shaped, with a tiny CLIP and the miniature's own detector and identity."""
    save_tiny_clip(folder / "clip")
    save_pipeline(folder / "pipe", "sd15")
    mini = load_profile("mini")
    content = mini.model_dump() | {
        "name": "tiny", "purifier": "jpeg", "ensemble": [], "purifiers": {}, "defaults": SHORT,
        "diffusion": {"id": str(folder / "pipe"), "loader": "stable-diffusion"},
        "clip": {"id": str(folder / "clip"), "loader": "open_clip"},
        "sampling": {"steps": 2, "guidance_scale": 4.0},
        "prior_guidance_scale": 2.0,
    }  # fmt: skip
    return Profile.model_validate(content | more)


def save_profile(folder: Path, **more) -> Path:
    """Write such a profile as YAML, with the library's own hyperparameters; its path."""
    profile = tiny_profile(folder, **({"defaults": {}} | more))
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(profile.model_dump(mode="json")), "utf-8")
    return path
