"""Where the names of points stand: near what they name, and over nothing if there is room.

The usual library, adjustText, would be one more dependency. Here the same points always give the
same places, and a name that could be read as another point's costs something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError

ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
FAR = (8.0, 13.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0, 100.0)  # from a point to its name
PAD = 3.5  # around a name
CROWDED = 11.0  # a name nearer than this to a point of another reads as that one's
LED = 9.5  # a name further than this from its point has a line to it
TRIES, ROUNDS = 20, 20
# What a place costs, against one that is a unit further away.
COVERS, CROSSES, TOUCHES, READS_AS_ANOTHERS = 2000.0, 400.0, 600.0, 12.0


@dataclass(frozen=True)
class Candidates:
    """Places that each name could take.

    Attributes:
        boxes: (names, places, 4): left, bottom, right, top.
        lines: (names, places, 4): from the point, x and y, to the nearest of the box.
        costs: (names, places), of a name on its own.
    """

    boxes: np.ndarray
    lines: np.ndarray
    costs: np.ndarray


def place_names(
    points: np.ndarray,
    sizes: np.ndarray,
    frame: np.ndarray,
    radius: float,
    aside: float = PAD,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose a place for the name of each point.

    Each name in turn takes the place that costs least beside the others, until none moves. That is
    done in several orders, and the cheapest outcome counts. The same points give the same places.

    Args:
        points: (n, 2), of all that are named.
        sizes: (n, 2), width and height of the names.
        frame: (4,), left, bottom, right and top of where names may stand.
        radius: of a point.
        aside: least gap between two names side by side.

    All lengths are in one unit, points of an inch.

    Returns:
        The boxes of the names, (n, 4), and the lines from points to names, (n, 4).

    Raises:
        UserError: shapes that do not match.
    """
    if points.shape != sizes.shape or points.ndim != 2 or points.shape[1] != 2:
        raise UserError(f"expected (n, 2) points and sizes, got {points.shape}, {sizes.shape}")
    options = candidates(points, sizes, frame, radius)
    shuffled = np.random.default_rng(0)
    outcomes = [_settled(options, shuffled.permutation(len(points)), aside) for _ in range(TRIES)]
    chosen, _ = min(outcomes, key=lambda outcome: outcome[1])
    rows = np.arange(len(points))
    return options.boxes[rows, chosen], options.lines[rows, chosen]


def candidates(
    points: np.ndarray, sizes: np.ndarray, frame: np.ndarray, radius: float
) -> Candidates:
    """The places around each point, and what each costs; see :func:`place_names`."""
    angle, far = (grid.ravel() for grid in np.meshgrid(ANGLES, FAR))
    direction = np.column_stack([np.cos(angle), np.sin(angle)])
    middle = points[:, None] + direction * (far[:, None] + sizes[:, None] / 2)
    half = sizes[:, None] / 2
    boxes = np.concatenate([middle - half, middle + half], axis=2)
    start = np.broadcast_to(points[:, None], middle.shape)
    lines = np.concatenate([start, np.clip(start, boxes[..., :2], boxes[..., 2:])], axis=2)
    costs = np.linalg.norm(lines[..., 2:] - start, axis=2)
    outside = (boxes[..., :2] < frame[:2]).any(2) | (boxes[..., 2:] > frame[2:]).any(2)
    costs = costs + COVERS * outside
    for number, point in enumerate(points):
        gap = np.linalg.norm(np.clip(point, boxes[..., :2], boxes[..., 2:]) - point, axis=2)
        others = np.arange(len(points)) != number
        near = READS_AS_ANOTHERS * np.maximum(0, CROWDED - gap)
        own = COVERS * (gap < radius + PAD) + near
        own = own + TOUCHES * (_distance(point, lines) < radius)
        costs = costs + np.where(others[:, None], own, COVERS * (gap < radius))
    return Candidates(boxes, lines, costs)


def _settled(options: Candidates, order: np.ndarray, aside: float) -> tuple[np.ndarray, float]:
    """The place of each name when none gains by moving, and what all cost."""
    chosen = options.costs.argmin(1)
    rows = np.arange(len(chosen))
    total = np.inf
    for _ in range(ROUNDS):
        before, costs = chosen.copy(), 0.0
        for name in order:
            rest = rows != name
            others = options.boxes[rows, chosen][rest], options.lines[rows, chosen][rest]
            every = options.costs[name] + _between(
                options.boxes[name], options.lines[name], *others, np.array([aside, PAD])
            )
            chosen[name] = every.argmin()
            costs += every.min()
        total = costs
        if (chosen == before).all():
            break
    return chosen, total


def _between(
    boxes: np.ndarray,
    lines: np.ndarray,
    other_boxes: np.ndarray,
    other_lines: np.ndarray,
    gap: np.ndarray,
) -> np.ndarray:
    """What places (n, 4) cost beside names that stand already (m, 4): (n,)."""
    apart = (boxes[:, None, :2] - gap > other_boxes[:, 2:]) | (
        boxes[:, None, 2:] + gap < other_boxes[:, :2]
    )
    costs = COVERS * ~apart.any(2)
    costs = costs + CROSSES * _cross(lines[:, None], other_lines[None])
    for diagonal in _diagonals(other_boxes):
        costs = costs + CROSSES * _cross(lines[:, None], diagonal[None])
    for diagonal in _diagonals(boxes):
        costs = costs + CROSSES * _cross(diagonal[:, None], other_lines[None])
    return costs.sum(1)


def _diagonals(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two lines (n, 4) through each of boxes (n, 4), a little longer than it: what crosses the box
    crosses one of them."""
    wider = boxes + PAD * np.array([-1, -1, 1, 1])
    return wider, wider[:, [0, 3, 2, 1]]


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether lines (..., 4) cross; those that only touch do not."""

    def side(line: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (line[..., 2] - line[..., 0]) * (y - line[..., 1]) - (
            line[..., 3] - line[..., 1]
        ) * (x - line[..., 0])

    parted = side(first, second[..., 0], second[..., 1]) * side(
        first, second[..., 2], second[..., 3]
    )
    back = side(second, first[..., 0], first[..., 1]) * side(second, first[..., 2], first[..., 3])
    return (parted < 0) & (back < 0)


def _distance(point: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """How far a point (2,) is from lines (..., 4)."""
    start, along = lines[..., :2], lines[..., 2:] - lines[..., :2]
    length = np.maximum((along**2).sum(-1), 1e-12)
    share = np.clip(((point - start) * along).sum(-1) / length, 0, 1)
    return np.linalg.norm(start + share[..., None] * along - point, axis=-1)
