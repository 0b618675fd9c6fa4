"""Which purifier gives the person back? ``python -m shortcut_nb.experiments.purification``.

Every purifier against several attacks at one budget: realignment in CLIP space, faithfulness to
the clean pictures, what it restores after DreamBooth, and seconds a picture. Each with its
interval over subjects. Resumable through the store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from ..lab import Lab
from ..plots import interval_plot, save_figure
from ..profile import load_profile
from ..purify import ALIASES, PURIFIERS, build, expand, roles
from . import matrix
from .report import TITLES, about, judge, means, paired, records, write_json
from .stages import Cell

ATTACKS = ("aspl", "advdm", "photoguard", "metacloak")
SCORES = ("ims_missing", "quality", "texture")
FAITHFUL = ("psnr", "ssim", "perceptual", "likeness", "shift", "shift_projection", "purify_seconds")


def available(lab: Lab) -> list[str]:
    """The purifiers and named chains whose models the lab's profile names, and its own chain."""
    have, named = set(lab.profile.models()), lab.profile.purifiers
    known = sorted([*PURIFIERS, *ALIASES])
    found = [name for name in known if set(roles(build(expand(name, named)))) <= have]
    return list(dict.fromkeys([*found, lab.profile.purifier]))


def cells(eps: str, attacks: list[str], purifiers: list[str]) -> dict[str, Cell]:
    """Clean pictures, and every attack under every purifier ("none" among them)."""
    found = {"clean": Cell(eps=eps)}
    for attack in attacks:
        for purifier in purifiers:
            found[f"{attack} | {purifier}"] = Cell(attack, eps=eps, purifier=purifier)
    return found


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per attack and purifier: faithfulness, realignment, and what came back.

    ``realigned`` is the share of the attack's shift in CLIP space that is gone (1: back at the
    clean picture, below 0: further away). ``…_restored`` is the score's rise over no purifier,
    ``…_left`` what is still missing to training on clean pictures (negative: worse).
    """
    own, rows = frame[frame["prompt"] == "instance"], []
    for name, part in own.groupby("condition", sort=False):
        if name == "clean":
            continue
        attack, purifier = str(name).split(" | ")
        none = own[own["condition"] == f"{attack} | none"]
        row: dict = {"attack": attack, "purifier": purifier, "subjects": part["subject"].nunique()}
        each = part.groupby("subject")[[*FAITHFUL, *SCORES]].mean()
        row |= each.mean().to_dict()
        if len(none):
            before = none.groupby("subject")["shift"].mean()
            row["realigned"] = float((1 - each["shift"] / before).mean())
        for score in SCORES:
            for label, other in (("restored", f"{attack} | none"), ("left", "clean")):
                if other == name:
                    continue
                gaps = paired(own, score, str(name), other)
                if len(gaps):
                    found = judge(gaps, 1)
                    row |= {f"{score}_{label}": found["difference"],
                            f"{score}_{label}_low": found["low"],
                            f"{score}_{label}_high": found["high"]}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 2,
    eps: Annotated[str, typer.Option(help="the common budget")] = "16/255",
    attack: Annotated[list[str] | None, typer.Option(help="these only")] = None,
    purifier: Annotated[list[str] | None, typer.Option(help="these only")] = None,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    out: Path = Path("figures"),
) -> None:
    people = matrix.first_subjects(load_profile(profile), subjects)
    names = purifier or available(Lab(profile))
    chosen = cells(eps, attack or list(ATTACKS), list(dict.fromkeys(["none", *names])))
    frame = matrix.run(chosen, people, range(seeds), profile=profile, n=n, workers=workers)
    report(frame, eps, out)


def report(frame: pd.DataFrame, eps: str, out: Path) -> None:
    """Write ``purification.json`` (the table) and one figure per score."""
    write_json(about(frame, eps) | {"rows": records(table(frame))}, out / "purification.json")
    shown = means(frame[frame["prompt"] == "instance"], ["purifier", "attack"], SCORES)
    for score, title in TITLES.items():
        part = shown[shown["score"] == score]
        fig = interval_plot(part, by="attack", group="purifier", xlabel=title)
        save_figure(
            fig, f"purification_{score}", folder=out, data=part,
            alt=f"Mean {title} of V* samples for each purifier and attack at {eps}, with 95 % "
            f"bootstrap intervals over {part['n'].max()} subjects.",
        )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
