"""A causal model as a graph, causes above effects: every arrow with what its experiments found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .palette import VERDICTS, looks
from .style import theme

SCORED = ("confirmed", "undecided", "refuted")
WIDTH, HEIGHT = 2.7, 1.45  # inches between the places of nodes
TEXT, LABEL = 14, 11  # points
Place = tuple[float, float]


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


def causal_graph(
    edges: Sequence[Edge], colors: dict[str, str] | None = None, title: str | None = None
) -> Figure:
    """Draw causes above, effects below; edges of one pair share an arrow.

    An arrow is drawn as confirmed when all its experiments are, as refuted when one is, else as
    undecided. Its label says how many of them are. What each found is in :attr:`Edge.label`.

    Args:
        colors: node → the condition whose colour its frame has.

    Raises:
        ValueError: no edges, or a cycle.
    """
    if not edges:
        raise ValueError("expected at least one edge to draw, got none")
    place = layout(edges)
    pairs: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        pairs.setdefault((edge.cause, edge.effect), []).append(edge)
    across, down = zip(*place.values(), strict=True)
    with theme():
        fig = Figure((max(across) - min(across) + 2.6, max(down) - min(down) + 1.3))
        ax = fig.add_axes((0, 0, 1, 1))
        boxes = {
            name: _node(ax, where, name, (colors or {}).get(name)) for name, where in place.items()
        }
        for (cause, effect), bundle in pairs.items():
            _arrow(ax, place[cause], place[effect], bundle, (boxes[cause], boxes[effect]))
        ax.set(
            xlim=(min(across) - 1.3, max(across) + 1.3),
            ylim=(min(down) - 0.6, max(down) + 0.7),
        )
        ax.axis("off")
        if title:
            ax.set_title(title)
    return fig


def layout(edges: Sequence[Edge]) -> dict[str, Place]:
    """Where each node stands, in inches: causes as far down as their effects allow.

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
    rows: dict[int, list[str]] = {}
    for name in effects:  # in order of first mention
        rows.setdefault(depth[name], []).append(name)
    return {
        name: (WIDTH * (i - (len(names) - 1) / 2), HEIGHT * level)
        for level, names in rows.items()
        for i, name in enumerate(names)
    }


def _node(ax: Axes, where: Place, name: str, condition: str | None) -> FancyBboxPatch | None:
    """A name in its box; returns the box, at which arrows end. It is drawn before them."""
    edge = looks([condition])[condition].color if condition else "0.2"
    box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": edge, "linewidth": 2.5}
    text = ax.text(*where, name, ha="center", va="center", fontsize=TEXT, bbox=box, zorder=1)
    return text.get_bbox_patch()


def _arrow(
    ax: Axes,
    start: Place,
    end: Place,
    edges: list[Edge],
    boxes: tuple[FancyBboxPatch | None, FancyBboxPatch | None],
) -> None:
    verdicts = [edge.verdict for edge in edges]
    verdict = "refuted" if "refuted" in verdicts else "undecided"
    look = VERDICTS["confirmed" if set(verdicts) == {"confirmed"} else verdict]
    straight = abs(start[1] - end[1]) <= HEIGHT * 1.01
    bend = 0.0 if straight else 0.35  # around what stands between
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            connectionstyle=f"arc3,rad={bend}",
            mutation_scale=24,
            shrinkA=4,
            shrinkB=4,
            patchA=boxes[0],
            patchB=boxes[1],
            color=look.color,
            linestyle=look.dash,
            linewidth=2.5,
            zorder=2,
        )
    )
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}
    count = f"{verdicts.count('confirmed')} of {len(edges)}"
    ax.text(
        *_along(start, end, bend, 0.64 if bend else 0.5),  # beside the node it goes around
        count,
        ha="center",
        va="center",
        fontsize=LABEL,
        color=look.color,
        bbox=box,
        zorder=3,
    )


def _along(start: Place, end: Place, bend: float, share: float) -> Place:
    """A point of matplotlib's arc3 curve, a quadratic Bézier, at a share of the way."""
    across, down = end[0] - start[0], end[1] - start[1]
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    control = middle[0] + bend * down, middle[1] - bend * across
    weights = (1 - share) ** 2, 2 * share * (1 - share), share**2
    x, y = (
        sum(weight * each for weight, each in zip(weights, ends, strict=True))
        for ends in zip(start, control, end, strict=True)
    )
    return x, y
