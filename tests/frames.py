"""Frames as experiments give them, from known effects: no model takes part."""

import itertools

import numpy as np
import pandas as pd

HARM = {"none": 0.0, "random-signs": 0.04, "aspl": 0.35, "metacloak": 0.3}
SHARE = {"none": 0.0, "jpeg": 0.35, "restorer": 0.9}
DISTANCE = {"none": 0.02, "jpeg": 0.05, "restorer": 0.12}
SECONDS = {"none": 0.0, "jpeg": 0.004, "restorer": 0.3}


def benchmark_frame(people=6, seeds=2, images=3, noise=0.03, attacks=HARM, purifiers=SHARE, seed=0):
    """attack × purifier × prompts, a row per sample; CDL gives half of what is left back."""
    rng, rows = np.random.default_rng(seed), []
    level = rng.normal(0, 0.05, people)
    cells = itertools.product(attacks, purifiers, ("plain", "cdl"))
    for attack, purifier, prompts in cells:
        left = HARM[attack] * (1 - SHARE[purifier]) * (0.5 if prompts == "cdl" else 1)
        for person, run, sheet in itertools.product(range(people), range(seeds), SHEETS):
            harm = left if sheet == "instance" else left / 4
            for image in range(images):
                quality = 0.85 + level[person] - harm + rng.normal(0, noise)
                rows.append({
                    "condition": f"{attack} | {purifier} | {prompts}", "attack": attack,
                    "eps": "16/255", "purifier": purifier, "trainer": "dreambooth",
                    "prompts": prompts, "subject": f"mini:held-out/{person}", "seed": run,
                    "sheet": sheet, "image": image, "quality": quality,
                    "texture": 1 + 6 * harm + rng.normal(0, noise),
                    "perceptual": DISTANCE[purifier] + HARM[attack] / 5 * (1 - SHARE[purifier]),
                    "purify_seconds": SECONDS[purifier], "train_seconds": 14.0 + person,
                })  # fmt: skip
    return pd.DataFrame(rows)


SHEETS = ("instance", "class")
