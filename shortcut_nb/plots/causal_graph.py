"""A causal model as a graph, causes above effects: every arrow with what its experiments found.

No library lays it out: Graphviz is a program to install beside Python, and networkx does not lead
arrows round nodes. Places follow from the edges alone, so the same graph always looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.transforms import Bbox

from ..errors import UserError
from .layout import SMALLEST
from .palette import VERDICTS, looks
from .style import theme

SCORED = ("confirmed", "undecided", "refuted")
VERDICT_LABELS = {
    "confirmed": "all of them are confirmed",
    "undecided": "none is refuted, not all are confirmed",
    "refuted": "at least one is refuted",
}
"""What the colour and the dash of an arrow say of its predictions."""
COUNTS = "On an arrow of several predictions: how many are confirmed"
WIDTH, HEIGHT = 1.95, 1.45  # inches between the places of nodes
BESIDE, ABOVE, BELOW = 1.05, 0.5, 1.6  # inches around them; the legend stands below
TEXT, LABEL = 13, 11  # points
BENDS = (0.0, 0.2, -0.2, 0.35, -0.35)  # of an arrow, the first that meets no other node
CLEAR = 0.1  # inches between an arrow and a node that it passes
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
            raise UserError(f"verdict must be one of {list(SCORED)}; got {self.verdict!r}")

    @property
    def label(self) -> str:
        """Two lines: the claim; score, effect, interval and verdict."""
        known = self.low is not None and self.high is not None and isfinite(self.low)
        interval = f" [{self.low:+.2f}, {self.high:+.2f}]" if known else ""
        return f"{self.claim}\n{self.score} {self.difference:+.2f}{interval} {self.verdict}"


def causal_graph(
    edges: Sequence[Edge], colors: dict[str, str] | None = None, note: str = ""
) -> Figure:
    """Draw causes above, effects below; edges of one pair share an arrow.

    An arrow is drawn as confirmed when all its experiments are, as refuted when one is, else as
    undecided. Where there are several, a label says how many of them are confirmed; the legend
    below says so. What each found is in :attr:`Edge.label`.

    Args:
        colors: node → the condition whose colour its frame has.
        note: what else has to be known, above the legend.

    Raises:
        UserError: no edges, or a cycle.
    """
    if not edges:
        raise UserError("expected at least one edge to draw, got none")
    place = layout(edges)
    pairs: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        pairs.setdefault((edge.cause, edge.effect), []).append(edge)
    across, down = zip(*place.values(), strict=True)
    with theme():
        xlim = min(across) - BESIDE, max(across) + BESIDE
        ylim = min(down) - BELOW, max(down) + ABOVE
        fig = Figure((xlim[1] - xlim[0], ylim[1] - ylim[0]))
        ax = fig.add_axes((0, 0, 1, 1))
        ax.set(xlim=xlim, ylim=ylim)
        ax.axis("off")
        boxes = {
            name: _node(ax, where, name, (colors or {}).get(name)) for name, where in place.items()
        }
        fig.draw_without_rendering()  # so that the boxes have their sizes
        for (cause, effect), bundle in pairs.items():
            others = [_extent(ax, boxes[name]) for name in place if name not in (cause, effect)]
            ends = boxes[cause], boxes[effect]
            _arrow(ax, place[cause], place[effect], bundle, ends, others)
        _legend(ax, note)
    return fig


def layout(edges: Sequence[Edge]) -> dict[str, Place]:
    """Where each node stands, in inches: causes as far down as their effects allow.

    Raises:
        UserError: a cycle.
    """
    effects: dict[str, set[str]] = {}
    for edge in edges:
        effects.setdefault(edge.cause, set()).add(edge.effect)
        effects.setdefault(edge.effect, set())
    try:
        order = list(TopologicalSorter(effects).static_order())  # effects first
    except CycleError as error:
        raise UserError(f"a causal graph has no cycles; got {error.args[1]}") from error
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


def _node(ax: Axes, where: Place, name: str, condition: str | None) -> FancyBboxPatch:
    """A name in its box; returns the box, at which arrows end. It is drawn before them."""
    edge = looks([condition])[condition].color if condition else "0.2"
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": edge, "linewidth": 2.5}
    text = ax.text(*where, name, ha="center", va="center", fontsize=TEXT, bbox=box, zorder=1)
    patch = text.get_bbox_patch()
    assert patch is not None
    return patch


def _extent(ax: Axes, box: FancyBboxPatch) -> Bbox:
    """Where a box stands, in inches."""
    return box.get_window_extent().transformed(ax.transData.inverted())


def _legend(ax: Axes, note: str) -> None:
    """What counts, colours and dashes say, below the graph and a note."""
    for verdict, words in VERDICT_LABELS.items():
        look = VERDICTS[verdict]
        ax.plot([], [], color=look.color, linestyle=look.dash, linewidth=2.5, label=words)
    title = "\n".join(filter(None, (note, COUNTS)))
    legend = ax.legend(title=title, loc="lower center", fontsize=SMALLEST, handlelength=3)
    legend.get_title().set(fontsize=LABEL, ha="center")


def _arrow(
    ax: Axes,
    start: Place,
    end: Place,
    edges: list[Edge],
    boxes: tuple[FancyBboxPatch, FancyBboxPatch],
    others: Sequence[Bbox],
) -> None:
    """An arrow from box to box, past the others, with its count if it has several predictions."""
    verdicts = [edge.verdict for edge in edges]
    verdict = "refuted" if "refuted" in verdicts else "undecided"
    look = VERDICTS["confirmed" if set(verdicts) == {"confirmed"} else verdict]
    bend = _bend(start, end, others)
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
    if len(edges) == 1:
        return
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}
    count = f"{verdicts.count('confirmed')} of {len(edges)}"
    ax.text(
        *_along(start, end, bend, _share(start, end, bend)),
        count,
        ha="center",
        va="center",
        fontsize=LABEL,
        color=look.color,
        bbox=box,
        zorder=3,
    )


def _bend(start: Place, end: Place, others: Sequence[Bbox]) -> float:
    """The first of :data:`BENDS` whose arrow passes the others; the last where none does."""
    wider = [box.padded(CLEAR) for box in others]
    for bend in BENDS:
        points = [_along(start, end, bend, share / 40) for share in range(41)]
        if not any(box.contains(*point) for box in wider for point in points):
            return bend
    return BENDS[-1]


def _share(start: Place, end: Place, bend: float) -> float:
    """How far along an arrow its count stands, so that counts keep off other arrows."""
    if bend:
        return 0.56
    far = start[1] - end[1] > 1.5 * HEIGHT
    return 0.7 if far else 0.4


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
