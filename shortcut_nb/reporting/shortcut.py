"""Is it a shortcut, and what drives it? What ``shortcut-nb bench shortcut`` measured says.

For every subject and seed: one DreamBooth on clean and one on protected pictures, sampled on the
way with and without the identifier; and one for each intervention on pictures or words. The
predictions were written first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ..analysis.lead import by_share, lead
from ..experiments.contrasts import judge, verdict_from
from ..experiments.means import means_over_people
from ..experiments.measured import Measurement
from ..experiments.questions.shortcut import BASE, contrasts
from ..experiments.questions.story import BUDGETS
from ..metrics import t_mean
from ..profile import Profile

if TYPE_CHECKING:
    from .shipped import Shipped

SCORES = ["ims_missing", "quality", "texture", "noise"]
SHEETS = {
    "own": "V* class",
    "bare": "V* alone",
    "swapped": "another rare word",
    "class": "class",
}
PRIMARY = (BASE, "texture")
FIRST = "the texture comes before the person"
FIRST_WHY = "a shortcut is what is easier to learn than the thing itself"
COLUMNS = {"mean": "difference", "n": "subjects"}  # of a table of verdicts


def judged(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every prediction on every score that the frame can decide, at the end of training.

    Args:
        frame: rows of samples with ``condition``, ``subject``, ``seed``, ``sheet`` and scores.

    Returns:
        Rows of ``claim, why, score, predicted`` (the sign of the score's difference),
        ``difference, subjects``, and the rest as :func:`shortcut_nb.experiments.contrasts.judge`
        has it; the last is the lead of the texture, where the training was watched.
    """
    frame, asked = by_share(frame), {each.name: each for each in contrasts()}
    table = judge(frame[frame["share"] == 1], list(asked.values()), strict=False)
    table = table[table["n"] > 0].rename(columns=COLUMNS)
    rows = []
    for row in table.to_dict("records"):
        contrast = asked[row["contrast"]]
        claim = contrast.name.removesuffix(f" ({contrast.metric})")
        own = {"claim": claim, "score": contrast.metric, "why": contrast.why}
        rows.append(row | own | {"predicted": "+" if contrast.expect == "+" else "−"})
    return rows + _first(frame)


def _first(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The verdict on :data:`FIRST`, from each subject's lead of the texture: a row, or none."""
    each = lead(frame)
    if not len(each):
        return []
    mean, low, high, people = t_mean(each)
    row = {
        "claim": FIRST,
        "why": FIRST_WHY,
        "score": "share of the rise",
        "predicted": "+",
        "verdict": verdict_from(low, high),
        "difference": mean,
        "low": low,
        "high": high,
        "subjects": people,
        "agreeing": float((each > 0).mean()),
        "weakest": float(each.min()),
    }
    return [row]


def mean_rows(frame: pd.DataFrame, scores: list[str], by: list[str]) -> list[dict[str, Any]]:
    """Means over people as records: ``by``, ``score, mean, low, high, n``."""
    means = means_over_people(frame, scores, by).rename(columns={"metric": "score"})
    return means.to_dict("records")


def curves(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Means with intervals of every score over the training, of the watched conditions.

    Args:
        frame: what :func:`shortcut_nb.analysis.lead.by_share` returned.

    Returns:
        Rows of ``condition``, ``sheet`` (as in figures), ``share`` (of the training), ``score``,
        ``mean``, ``low``, ``high``, ``n``.
    """
    watched = [name for name, part in frame.groupby("condition") if part["share"].nunique() > 1]
    part = frame[frame["condition"].isin(watched) & frame["sheet"].isin(list(SHEETS))]
    part = part.assign(sheet=part["sheet"].map(SHEETS)).sort_values("share", kind="stable")
    return mean_rows(part, SCORES, ["condition", "sheet", "share"])


def content(measured: Measurement) -> dict[str, Any]:
    """Verdicts, curves and levels of what ``shortcut-nb bench shortcut --save`` kept."""
    frame = by_share(measured.frame)
    last = frame[frame["share"] == 1]
    protected = last[last["condition"] == "protected"].iloc[0]
    return {
        "eps": protected["eps"],
        "attack": protected["attack"],
        "purifier": protected["purifier"],
        "predictions": judged(measured.frame),
        "steps": curves(frame),
        "means": mean_rows(last, [*SCORES, "l2"], ["condition", "sheet"]),
    }


def of_story(profile: Profile, eps: str, subject: str) -> Shipped:
    """The prediction that decides, as the question ``story`` measured it on more people.

    Args:
        profile, eps, subject: of the run beside which it is shown; see :func:`.shipped.shipped`.
    """
    from .shipped import Shipped
    from .summary import summary

    kept = summary("story", profile, eps=eps, subject=subject)
    row = kept.verdict(f"texture follows V*, not the class, {BUDGETS[0]}")
    ends = {"difference": row["mean"], "low": row["low"], "high": row["high"]}
    own = {"claim": BASE, "score": "texture", "subjects": row["n"]} | ends
    content = {"predictions": [own], "subjects": kept.subjects, "seeds": kept.seeds}
    return Shipped(content | {"eps": BUDGETS[0]}, kept.profile, kept.same)


def check(frame: pd.DataFrame, larger: Shipped) -> pd.DataFrame:
    """Set a run's own difference beside the larger run's, for the prediction that decides.

    Here one person is trained on, whom the larger run has not seen. Asserted is that the gap is
    above zero; where that run was of another profile or budget, or has seen the person, the numbers
    are shown and nothing is asserted.

    Args:
        frame: a row per sample of the conditions "clean" and "protected".

    Returns:
        One row: ``claim, score, here, difference, low, high, subjects``.

    Raises:
        AssertionError: there is no such gap.
    """
    here = _primary(judged(frame))["difference"]
    there = _primary(larger["predictions"])
    seen = set(frame["subject"]) & set(larger["subjects"])
    if larger.same and not seen and not here > 0:
        raise AssertionError(
            f"{PRIMARY[0]}: expected a gap in {PRIMARY[1]} above 0, as the larger run's "
            f"{there['difference']:+.2f}; got {here:+.2f}"
        )
    columns = ("claim", "score", "difference", "low", "high", "subjects")
    table = pd.DataFrame([{name: there[name] for name in columns} | {"here": here}])
    return table.rename_axis(columns=larger.heading)


def _primary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the prediction that decides the question.

    Raises:
        AssertionError: it was not measured.
    """
    for row in rows:
        if (row["claim"], row["score"]) == PRIMARY:
            return row
    raise AssertionError(f"nothing to check: {PRIMARY[0]!r} was not measured in {PRIMARY[1]}")
