"""The whole argument, measured: ``python -m shortcut_nb.experiments.story``.

For every subject, seed and budget, fine-tune on clean, random-noise, protected and purified
pictures, with plain and contrastive prompts; score the samples; state each difference with its
95 % bootstrap interval over subjects. Cells are kept in the store, so a run that was stopped
goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from ..budget import Budget
from ..profile import load_profile
from ..results import OUT, read_result, write_result
from . import matrix
from .figures import score_figures
from .matrix import first_subjects
from .report import WITH_NOISE, judge, means, paired
from .shipped import compare_judged
from .stages import STORY, story_cells

SCORES = tuple(WITH_NOISE)
# (name, condition, minus condition, score, direction the argument predicts)
CLAIMS = (
    ("protection lowers identity", "protected", "clean", "ims_missing", -1),
    ("protection lowers quality", "protected", "clean", "quality", -1),
    ("protection harms identity more than noise", "protected", "random noise", "ims_missing", -1),
    ("protection harms quality more than noise", "protected", "random noise", "quality", -1),
    ("protection covers samples with texture", "protected", "clean", "texture", 1),
    ("protection leaves more texture than noise", "protected", "random noise", "texture", 1),
    ("purification restores identity", "purified", "protected", "ims_missing", 1),
    ("purification restores quality", "purified", "protected", "quality", 1),
    ("purification removes the texture", "purified", "protected", "texture", -1),
    ("CDL restores identity", "cdl", "protected", "ims_missing", 1),
    ("CDL restores quality", "cdl", "protected", "quality", 1),
    ("CDL beats its negative prompt alone", "cdl", "protected + negative prompt", "quality", 1),
    ("CDL removes texture", "cdl", "protected", "texture", -1),
    (
        "CDL removes more than its negative prompt",
        "cdl",
        "protected + negative prompt",
        "texture",
        -1,
    ),
    ("both restore identity", "purified + cdl", "protected", "ims_missing", 1),
    ("both restore quality", "purified + cdl", "protected", "quality", 1),
    ("both remove the texture", "purified + cdl", "protected", "texture", -1),
)


def claims(frame: pd.DataFrame) -> list[dict]:
    """Every claim at every budget: difference of means, 95 % interval, whether it holds.

    ``holds`` is True when the interval lies on the predicted side of zero, False when it lies on
    the other, None when it contains zero. The unit of resampling is the subject; seeds and
    samples are averaged first.
    """
    rows = []
    frame = _with_control(frame)
    for eps, part in frame.groupby("eps", sort=False):
        for name, high, low, score, direction in CLAIMS:
            each = paired(part[part["prompt"] == "instance"], score, high, low)
            if len(each):
                rows.append({"claim": name, "eps": eps, "score": score,
                             "seeds": part["seed"].nunique()} | judge(each, direction))  # fmt: skip
    return rows + shortcut(frame)


def _with_control(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn samples of plain models with the negative prompt into conditions of their own."""
    control = frame["prompt"] == "negative"
    named = frame["condition"].where(~control, frame["condition"] + " + negative prompt")
    return frame.assign(condition=named, prompt=frame["prompt"].where(~control, "instance"))


def shortcut(frame: pd.DataFrame) -> list[dict]:
    """Does the noise follow V*? Rise of noise and of texture, identifier minus class prompt."""
    return [row for score in ("noise", "texture") for row in _follows(frame, score)]


def _follows(frame: pd.DataFrame, score: str) -> list[dict]:
    rows = []
    for eps, part in frame.groupby("eps", sort=False):
        table = part.pivot_table(
            index="subject", columns=["condition", "prompt"], values=score, aggfunc="mean"
        )
        needed = {(c, p) for c in ("protected", "clean") for p in ("instance", "class")}
        if not needed <= set(table.columns):
            continue
        rise = table["protected"] - table["clean"]
        each = (rise["instance"] - rise["class"]).to_numpy()
        name = f"{score} follows V*, not the class"
        rows.append({"claim": name, "eps": eps, "score": score,
                     "seeds": part["seed"].nunique()} | judge(each, 1))  # fmt: skip
    return rows


def established(eps: str) -> list[dict]:
    """The claims that the shipped measurement established at a budget (the result "story").

    Raises:
        ValueError: when the shipped measurement does not cover this budget.
    """
    content = read_result("story")
    eps = str(Budget.parse(eps))
    rows = [row for row in content["claims"] if row["eps"] == eps]
    if not rows:
        have = sorted({row["eps"] for row in content["claims"]})
        raise ValueError(f"the shipped measurement covers budgets {have}; got {eps!r}")
    return [row for row in rows if row["holds"] is not None]


def check_claims(frame: pd.DataFrame, eps: str) -> pd.DataFrame:
    """Set a run's own differences beside the established ones; one row per claim.

    ``here`` is this run's difference, ``difference`` the larger run's with interval and verdict.
    See :func:`.shipped.compare` for what is asserted.

    Raises:
        AssertionError: when an asserted claim has the wrong sign here, or nothing can be compared.
    """
    mine = [row for row in claims(frame) if row["eps"] == eps]
    return compare_judged(mine, established(eps), ["claim", "score"])


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 2,
    eps: Annotated[list[str] | None, typer.Option(help="budgets")] = None,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    about, frames = load_profile(profile), []
    people = first_subjects(about, subjects)
    for budget in eps or ["16/255", "8/255"]:
        cells = story_cells(budget, about.purifier)
        frame = matrix.run(cells, people, range(seeds), profile=profile, n=n, workers=workers)
        frames.append(frame.assign(eps=budget))
    frame = pd.concat(frames, ignore_index=True)
    report(frame, out, profile)


def report(frame: pd.DataFrame, out: Path | None, profile: str = "mini") -> None:
    """Write ``story.json`` (claims and means), and one figure per score."""
    table = means(_with_control(frame), ["eps", "condition", "prompt"], SCORES)
    found = claims(frame)
    content = {
        "subjects": sorted(frame["subject"].unique()),
        "seeds": sorted(int(seed) for seed in frame["seed"].unique()),
        "samples": int(frame["image"].max()) + 1, "claims": found,
        "means": table.to_dict("records"),
    }  # fmt: skip
    write_result("story", content, profile, out)
    shown = table[table["condition"].isin([*STORY, "protected + negative prompt"])]
    score_figures(shown[shown["prompt"] == "instance"], "story",
                  "for each training condition and budget", by="condition", group="eps", out=out,
                  titles=WITH_NOISE)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
