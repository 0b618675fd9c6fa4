"""A causal model as a graph: every arrow with the experiment behind it, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import isfinite

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from .palette import VERDICTS
from .style import theme

SCORED = ("confirmed", "undecided", "refuted")
WIDTH, HEIGHT = 4.6, 2.1  # inches between the places of nodes


@dataclass(frozen=True)
class Edge:
    """An arrow from cause to effect, and an experiment that speaks to it.

    Args:
        claim: what the experiment was to show.
        score: what was measured.
        difference, low, high: the effect and its 95 % interval (NaN where there is none).
        verdict: "confirmed", "undecided" or "refuted".
    """

    cause: str
    effect: str
    claim: str
    score: str
    difference: float
    low: float
    high: float
    verdict: str

    def __post_init__(self) -> None:
        if self.verdict not in SCORED:
            raise ValueError(f"verdict must be one of {list(SCORED)}; got {self.verdict!r}")

    @property
    def label(self) -> str:
        """Two lines: the claim; score, effect, interval and verdict."""
        known = self.low is not None and self.high is not None and isfinite(self.low)
        interval = f" [{self.low:+.2f}, {self.high:+.2f}]" if known else ""
        return f"{self.claim}\n{self.score} {self.difference:+.2f}{interval} {self.verdict}"


def causal_graph(edges: Sequence[Edge], title: str | None = None) -> Figure:
    """Draw causes on the left, effects on the right; edges of one pair share an arrow.

    An arrow is drawn as confirmed when all its experiments are, as refuted when one is, else as
    undecided.

    Raises:
        ValueError: no edges, or a cycle.
    """
    if not edges:
        raise ValueError("expected at least one edge to draw, got none")
    place = layout(edges)
    pairs: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        pairs.setdefault((edge.cause, edge.effect), []).append(edge)
    wide = max(x for x, _ in place.values()) + 1.6
    tops = [y for _, y in place.values()]
    with theme():
        fig = Figure((wide + 1.0, max(tops) - min(tops) + 2.0), layout="constrained")
        ax = fig.subplots()
        for (cause, effect), bundle in pairs.items():
            _arrow(ax, place[cause], place[effect], bundle)
        for name, (x, y) in place.items():
            box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "0.2"}
            ax.text(x, y, name, ha="center", va="center", fontsize=10, bbox=box, zorder=3)
        ax.set(xlim=(-0.9, wide - 0.1), ylim=(min(tops) - 0.8, max(tops) + 0.8))
        ax.axis("off")
        if title:
            ax.set_title(title)
    return fig


def layout(edges: Sequence[Edge]) -> dict[str, tuple[float, float]]:
    """Where each node stands, in inches: causes as far right as their effects allow.

    Raises:
        ValueError: a cycle.
    """
    effects: dict[str, set[str]] = {}
    for edge in edges:
        effects.setdefault(edge.cause, set()).add(edge.effect)
        effects.setdefault(edge.effect, set())
    try:
        order = list(TopologicalSorter(effects).static_order())  # effects first
    except CycleError as error:
        raise ValueError(f"a causal graph has no cycles; got {error.args[1]}") from error
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[effect] for effect in effects[name]), default=-1)
    columns: dict[int, list[str]] = {}
    for name in effects:  # in order of first mention
        columns.setdefault(depth[name], []).append(name)
    most = max(columns)
    return {
        name: (WIDTH * (most - level), HEIGHT * ((len(names) - 1) / 2 - i))
        for level, names in columns.items()
        for i, name in enumerate(names)
    }


def _arrow(ax, start, end, edges: list[Edge]) -> None:  # noqa: ANN001
    verdicts = {edge.verdict for edge in edges}
    verdict = "refuted" if "refuted" in verdicts else "undecided"
    look = VERDICTS["confirmed" if verdicts == {"confirmed"} else verdict]
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=16,
            shrinkA=38,
            shrinkB=42,
            color=look.color,
            linestyle=look.dash,
            linewidth=1.6,
            zorder=1,
        )
    )
    middle = [a + 0.46 * (b - a) for a, b in zip(start, end, strict=True)]
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    text = "\n".join(edge.label for edge in edges)
    ax.text(*middle, text, ha="center", va="center", fontsize=6.5, bbox=box, zorder=2)
