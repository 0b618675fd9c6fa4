"""What can an attacker do who knows the defence? ``python -m shortcut_nb.experiments.adaptive``.

ASPL that knows nothing, the purifier, contrastive prompts, or everything, against a defender who
does nothing, purifies, trains with CDL, or does both; over budgets, and on sets in which some
pictures are clean. With what it costs the attacker and how visible it is. Resumable through the
store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer

from ..budget import Budget
from ..plots import curve_plot, save_figure
from ..profile import load_profile
from ..purify import build
from ..results import OUT, write_result
from . import matrix
from .choice import chosen
from .climb import climb_table, climbs
from .pool import in_processes, lab_of
from .report import TITLES, about, between, means, paired, records
from .sheets import Sheet, draw, score
from .shipped import gap, verdict, with_gaps
from .stages import Cell, Stages
from .words import TRAININGS

BUDGETS = ("2/255", "4/255", "8/255", "16/255", "32/255")
# Who is tried at every budget and on mixed sets, and against whom.
SWEPT = ("nothing", "everything")
BUDGETS_AGAINST = ("none", "purifier", "both, held")
MIXED_AGAINST = ("none", "both, held")
CLEAN_SHARES = (0.25, 0.5, 0.75)
DRAWS = 4  # of EOT
# The last was added after a look at samples: attacks through a purifier leave blotches, not grain.
SHOWN = {**TITLES, "coarse_texture": "coarse texture (grey levels)"}
SCORES = tuple(SHOWN)
HARM = {"ims_missing": -1, "quality": -1, "texture": 1, "coarse_texture": 1}


def knowledge(purifier: str) -> dict[str, dict[str, Any]]:
    """What the attacker may know, as settings of adaptive ASPL; "nothing" is ASPL itself.

    The full gradient is there for a purifier that has one of its own. "everything" takes it where
    it is, and its surrogates are trained with CDL's prompts and the text encoder frozen, as those
    of the defender "both, held" are, but for the noise prior.
    """
    through: dict[str, Any] = {"purifier": purifier}
    found: dict[str, dict[str, Any]] = {"nothing": {}, "purifier (BPDA)": through}
    best = through
    if hasattr(build(purifier), "differentiable"):
        best = through | {"gradient": "full"}
        found["purifier (full gradient)"] = best
    return found | {
        "purifier (BPDA, EOT)": through | {"repeats": DRAWS},
        "prompts": {"prompts": "cdl"}, "purifier + prompts": best | {"prompts": "cdl"},
        "everything": best | {"prompts": "cdl", "surrogate_text_lr": 0.0},
    }  # fmt: skip


def defences(purifier: str) -> dict[str, Cell]:
    """What the defender does, as cells of clean pictures.

    "held" is CDL with the text encoder frozen and the noise token preserved; see :mod:`.words`.
    """
    trainer, settings = TRAININGS["noise prior, frozen"]
    held = Cell(prompts="cdl", trainer=trainer, training=tuple(settings.items()))
    return {
        "none": Cell(), "purifier": Cell(purifier=purifier), "cdl": Cell(prompts="cdl"),
        "both": Cell(purifier=purifier, prompts="cdl"),
        "cdl, held": held, "both, held": replace(held, purifier=purifier),
    }  # fmt: skip


def attacked(cell: Cell, eps: str, settings: dict[str, Any]) -> Cell:
    """A defender's cell under an attacker who knows what ``settings`` say."""
    name = "adaptive-aspl" if settings else "aspl"
    return replace(cell, attack=name, eps=eps, settings=tuple(settings.items()))


def cells(
    eps: str, budgets: Sequence[str], purifier: str, knows: Sequence[str] | None = None,
    defends: Sequence[str] | None = None,
) -> dict[str, Cell]:  # fmt: skip
    """Every attacker at ``eps``, those of :data:`SWEPT` at every budget, and clean pictures.

    Every budget is tried against the defenders of :data:`BUDGETS_AGAINST`.
    A cell is named "knowledge | defence | budget". ``knows`` leaves out other attackers,
    ``defends`` other defenders.

    Raises:
        typer.BadParameter: for an attacker or a defender that there is not.
    """
    found, known, tried = {}, knowledge(purifier), defences(purifier)
    for defence in chosen(defends, tried, "defence"):
        cell = tried[defence]
        found[f"clean | {defence} | 0/255"] = cell
        for who in chosen(knows, known, "knowledge"):
            settings = known[who]
            swept = who in SWEPT and defence in BUDGETS_AGAINST
            for budget in dict.fromkeys([eps, *(budgets if swept else ())]):
                found[f"{who} | {defence} | {budget}"] = attacked(cell, budget, settings)
    return found


def mixed(
    profile: str, subject: str, seed: int, who: str, defence: str, eps: str, share: float, n: int,
    settings: dict[str, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Scores when the first pictures of the set, a share of them, were never protected.

    Args:
        settings: of the trainer.
    """
    stages = Stages(lab_of(profile))
    lab, person = stages.lab, stages.lab.subject(subject)
    purifier = lab.profile.purifier
    cell = attacked(defences(purifier)[defence], eps, knowledge(purifier)[who])
    images = some_clean(person.images, stages.protect(person, cell, seed), share)
    images = stages.purify(images, cell, person.class_name).images
    how = dict(cell.training) | (settings or {})
    trainer = lab.personalize(cell.trainer, prompts=cell.prompts, seed=seed, **how)
    drawn = draw(stages, person, images, trainer, {"own": Sheet()}, n=n, seed=seed, label=who)
    return score(stages, person, drawn).assign(
        knowledge=who, defence=defence, eps=eps, clean_share=share, subject=subject, seed=seed
    )


def some_clean(clean: torch.Tensor, protected: torch.Tensor, share: float) -> torch.Tensor:
    """The protected set (n, 3, H, W) with its first pictures, a share of them, clean."""
    first = round(share * len(clean))
    return torch.cat([clean[:first], protected[first:]])


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns ``knowledge``, ``defence``, ``eps`` and ``pixels`` from the cell's name."""
    parts = frame["condition"].str.split(" | ", expand=True, regex=False)
    return frame.assign(
        knowledge=parts[0], defence=parts[1], eps=parts[2],
        pixels=parts[2].map(lambda text: Budget.parse(text).pixels),
    )  # fmt: skip


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per attacker, defence, budget and score of the V* samples.

    ``harm`` is the difference to clean pictures under the same defence, ``gain`` the difference to
    the attacker who knows nothing; each with its interval over subjects and whether the attack is
    shown to harm, or the knowledge to pay (True), the opposite (False), or neither (None).
    """
    own, rows = frame[frame["prompt"] == "instance"], []
    for (who, defence, eps), part in own.groupby(["knowledge", "defence", "eps"], sort=False):
        others = {"harm": f"clean | {defence} | 0/255", "gain": f"nothing | {defence} | {eps}"}
        name = f"{who} | {defence} | {eps}"
        for row in records(means(part, ["knowledge", "defence", "eps", "pixels"], SCORES)):
            for label, other in others.items():
                if name != other:
                    row |= gap(label, paired(own, row["score"], name, other), HARM[row["score"]])
            rows.append(row)
    return with_gaps(pd.DataFrame(rows), "harm", "gain")


def against(rows: pd.DataFrame, score: str, name: str = "harm") -> pd.DataFrame:
    """A table for reading: ``harm`` or ``gain`` in one score with its interval and its verdict.

    Args:
        rows: what :func:`table` gives.

    Returns:
        One row per defence and attacker, one column per budget; empty where nothing was tried.
    """
    own = rows[(rows["score"] == score) & rows[name].notna()]
    ends = own[[name, f"{name}_low", f"{name}_high", f"{name}_holds"]]
    text = [f"{between(value, low, high)} {verdict(holds)}"
            for value, low, high, holds in ends.itertuples(index=False)]  # fmt: skip
    found = own.assign(text=text).sort_values("pixels", kind="stable")
    return found.pivot(index=["defence", "knowledge"], columns="eps", values="text")[
        list(dict.fromkeys(found["eps"]))
    ].fillna("")


def costs(frame: pd.DataFrame) -> pd.DataFrame:
    """Per attacker and budget: seconds for a set, and how visible (against clean pictures).

    Means over subjects; seconds are the median, since a clock is at the mercy of other work.
    """
    bare = frame[(frame["defence"] == "none") & (frame["knowledge"] != "clean")]
    how = {"attack_seconds": "median"} | dict.fromkeys(
        ["psnr", "ssim", "perceptual", "linf"], "mean"
    )
    each = bare.groupby(["knowledge", "eps", "subject", "seed"], sort=False)[list(how)].first()
    return each.groupby(["knowledge", "eps"], sort=False).agg(how).reset_index()


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 4,
    seeds: int = 1,
    eps: Annotated[
        str, typer.Option(help="the budget at which every attacker is tried")
    ] = "16/255",
    budget: Annotated[list[str] | None, typer.Option(help="budgets of the sweep")] = None,
    knows: Annotated[list[str] | None, typer.Option(help="these attackers only")] = None,
    defends: Annotated[list[str] | None, typer.Option(help="these defenders only")] = None,
    clean_share: Annotated[
        list[float] | None, typer.Option(help="shares of clean pictures in mixed sets")
    ] = None,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    about_it = load_profile(profile)
    people = matrix.first_subjects(about_it, subjects)
    them = cells(eps, budget or BUDGETS, about_it.purifier, knows, defends)
    frame = matrix.run(them, people, range(seeds), profile=profile, n=n, workers=workers)
    tasks = [
        (profile, subject, seed, who, defence, eps, share, n)
        for seed in range(seeds)
        for who in SWEPT
        if who in (knows or SWEPT)
        for defence in MIXED_AGAINST
        if defence in (defends or MIXED_AGAINST)
        for share in clean_share or CLEAN_SHARES
        for subject in people
    ]
    partly = in_processes(mixed, tasks, workers=workers, label="mixed sets")
    tried = before_training(eps, about_it.purifier, knows)
    climbed = climbs(tried, people, range(seeds), profile=profile, workers=workers)
    mixed_sets = pd.concat([pd.DataFrame(), *partly], ignore_index=True)
    report(named(frame), mixed_sets, climbed, eps, out, profile)


def before_training(
    eps: str, purifier: str, knows: Sequence[str] | None = None
) -> dict[tuple[str, str], Cell]:  # fmt: skip
    """Cells of clean pictures and of every attacker's, as they are and purified; see :mod:`.climb`.

    Args:
        knows: these attackers only.
    """
    known, tried = knowledge(purifier), defences(purifier)
    kinds = {"as they are": tried["none"], "purified": tried["purifier"]}
    found = {("clean", kind): cell for kind, cell in kinds.items()}
    return found | {
        (who, kind): attacked(cell, eps, known[who])
        for who in chosen(knows, known, "knowledge")
        for kind, cell in kinds.items()
    }


def report(
    frame: pd.DataFrame,
    partly: pd.DataFrame,
    climbed: pd.DataFrame,
    eps: str,
    out: Path | None,
    profile: str = "mini",
) -> None:
    """Write ``adaptive.json`` and its figures."""
    found, by = table(frame), ["knowledge", "defence", "clean_share"]
    if partly.empty:
        partly = frame.iloc[:0].assign(clean_share=0.0)
    whole = frame[(frame["prompt"] == "instance") & (frame["eps"] == eps)]
    whole = whole[whole["knowledge"].isin(SWEPT) & whole["defence"].isin(partly["defence"])]
    partly = pd.concat([whole.assign(clean_share=0.0), partly], ignore_index=True)
    sets = means(partly, by, SCORES)
    content = about(frame, eps) | {
        "rows": records(found), "costs": records(costs(frame)), "mixed": records(sets),
        "climbed": records(climb_table(climbed)),
    }  # fmt: skip
    write_result("adaptive", content, profile, out)
    words = f"with 95 % t intervals over {frame['subject'].nunique()} subjects."
    for measure, title in SHOWN.items():
        part = found[found["score"] == measure]
        swept = part[part["knowledge"].isin(SWEPT) & part["defence"].isin(BUDGETS_AGAINST)]
        fig = curve_plot(
            swept, "pixels", "defence", panel="knowledge", xlabel="budget (grey levels)",
            titles={who: f"knows {who}" for who in SWEPT}, ylabel=title, sharey=True,
        )  # fmt: skip
        save_figure(
            fig, f"adaptive_budget_{measure}", folder=out, data=swept,
            alt=f"Mean {title} against the budget for each defence, for an attacker who knows "
            f"nothing and one who knows everything, {words}",
        )  # fmt: skip
    if sets.empty:
        return
    lines = sets.assign(line=sets["knowledge"] + ", defence: " + sets["defence"])
    fig = curve_plot(lines, "clean_share", "line", panel="score", xlabel="share of clean pictures",
                     titles=SHOWN)  # fmt: skip
    save_figure(
        fig,
        "adaptive_mixed",
        folder=out,
        data=lines,
        alt=f"Identity, quality, texture against the share of clean pictures at {eps}, {words}",
    )


if __name__ == "__main__":
    typer.run(main)
